"""Files that ``reliability init`` puts into somebody's repository."""
