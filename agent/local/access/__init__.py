"""Who may do what at the box's page: claim, people, sessions, and one table of routes and roles."""
