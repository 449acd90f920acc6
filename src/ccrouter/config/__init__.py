"""What the user wrote, lowered to one canonical `Config`; nothing below this package knows a file's shape."""
