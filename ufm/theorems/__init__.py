"""Published statements, one file per paper's key; our own results are files named by what they say."""
