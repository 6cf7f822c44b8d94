"""Plumbing that knows nothing of molecules.

files          reading with one wording for what is wrong, writing so that half a file never looks whole
records        frozen records to and from sections of a YAML file
generators     work done step by step: generators run to their end
compiled       loops in machine code, kept on disk where possible, on all processors
user_folder    the folder of the user's own cameras and models, and the names they may have
"""
