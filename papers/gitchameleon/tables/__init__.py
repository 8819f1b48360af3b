"""Records and reported numbers -> tables: in each module a function per table and figure of paper.yaml."""
