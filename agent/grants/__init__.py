"""Who may see what until when: grants checked, kept, counted down and reported. Core process."""
