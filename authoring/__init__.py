"""Tools of those who change the course: execute lessons, check them, generate the labs."""
