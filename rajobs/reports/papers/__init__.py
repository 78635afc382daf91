"""The pages of `rajobs papers`: each table and figure of the five papers beside ours."""
