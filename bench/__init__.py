"""What the router costs beside a direct connection, nginx and the Node router. See README.md."""
