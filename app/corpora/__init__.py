"""Stage 2: corpora, from uploaded files to the posts of a persona."""
