"""What the box knows about itself, with a plain sentence and a hint per fault."""
