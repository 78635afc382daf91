"""Archives and folders to their members: shards, zip and tar files, nested archives, all streamed."""
