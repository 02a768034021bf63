# cmake -DREADELF=readelf -DBINARY=FILE -P CheckGuestBinary.cmake
# Fails if the binary needs a library that a runtime image may lack: all but libpython and glibc's own
# must be linked statically.

execute_process(COMMAND ${READELF} --dynamic --wide ${BINARY}
  OUTPUT_VARIABLE dynamic COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "Shared library: \\[[^]]*\\]" needed "${dynamic}")
foreach(entry IN LISTS needed)
  if(NOT entry MATCHES "\\[(libpython3\\.[0-9]+\\.so\\.1\\.0|libc\\.so\\.6|libm\\.so\\.6|ld-linux-x86-64\\.so\\.2)\\]")
    file(REMOVE ${BINARY})
    message(FATAL_ERROR "${BINARY} must not need ${entry}: link it statically")
  endif()
endforeach()
