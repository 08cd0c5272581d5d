"""What hangs on the pole besides cameras: bell, cabinet contacts, relays."""
