"""The data: problems, their pins and categories, and the files of answers."""
