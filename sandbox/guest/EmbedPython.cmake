# cmake -DOUTPUT=FILE.cc -DSOURCES="a.py;b.py" -P EmbedPython.cmake
# Writes a source file that defines the constants of python_source.h.

set(code "#include \"sandbox/guest/python_source.h\"\n\nnamespace cloister::sandbox {\n\n")
foreach(source IN LISTS SOURCES)
  get_filename_component(name ${source} NAME_WE)
  set(constant)
  string(REPLACE "_" ";" words ${name})
  foreach(word IN LISTS words)
    string(SUBSTRING ${word} 0 1 initial)
    string(TOUPPER ${initial} initial)
    string(SUBSTRING ${word} 1 -1 rest)
    string(APPEND constant ${initial}${rest})
  endforeach()
  file(READ ${source} text)
  string(APPEND code "const char k${constant}Source[] = R\"cloister(${text})cloister\";\n\n")
endforeach()
string(APPEND code "}  // namespace cloister::sandbox\n")
file(WRITE ${OUTPUT} "${code}")
