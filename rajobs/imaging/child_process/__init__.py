"""The child processes that read what is not trusted: archives in one, files in another. Nothing is pickled."""
