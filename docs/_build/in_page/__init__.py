"""What runs in the reader's browser: packed with gradcheck when the site is built."""
