"""What a handle is."""

# ASCII only: no two handles look alike, and each is at home in a URL. The case of letters does not matter.
HANDLE_PATTERN = r"^[A-Za-z0-9_]{1,30}$"
