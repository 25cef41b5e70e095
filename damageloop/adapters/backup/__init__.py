"""Archives of a whole platform: one tar file, its database dumps, and how it is put back."""
