export B=1
