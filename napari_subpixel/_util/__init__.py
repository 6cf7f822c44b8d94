"""Plumbing that knows nothing of molecules.

files          reading with one wording for what is wrong, writing so that half a file never looks whole
file_kinds     what a file is, in words, by how it begins
records        frozen records to and from sections of a YAML file
generators     long work that can be run to its end or step by step
blas_threads   one thread for linear algebra
compiled       loops in machine code, kept on disk where possible, on all processors
background     the rough background of frames
figures        figures and their files, with Matplotlib where it is installed
command_text   a call of the command line as a line of text
words          values in words, for people
yaml_text      YAML that someone else wrote
user_folder    the folder of the user's own cameras and models, and the names they may have
"""
