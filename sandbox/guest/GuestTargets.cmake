# Targets that embed the CPython of one runtime image. They run on the image's own libc and libpython and
# bring everything else along, because an image holds no C++ libraries.

find_program(CLOISTER_READELF readelf REQUIRED)
set(CLOISTER_GUEST_CMAKE_DIR ${CMAKE_CURRENT_LIST_DIR} CACHE INTERNAL "")

# What a guest needs of the system, as archives; find_package gives the shared libraries.
function(cloister_find_guest_archives)
  execute_process(COMMAND ${PKG_CONFIG_EXECUTABLE} --static --libs-only-l
      protobuf absl_status absl_statusor absl_time absl_strings libseccomp
    OUTPUT_VARIABLE flags COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "-l[^ \n]+" flags "${flags}")
  list(REMOVE_DUPLICATES flags)
  # Parts of glibc; and no lock of 16 bytes is used.
  list(REMOVE_ITEM flags -lm -lrt -lpthread -ldl -latomic)
  set(CLOISTER_GUEST_ARCHIVES
    -Wl,-Bstatic -Wl,--start-group ${flags} -Wl,--end-group -Wl,-Bdynamic CACHE INTERNAL "")
endfunction()
cloister_find_guest_archives()

# Sets RESULT to the Python of an image, e.g. "3.14".
function(cloister_image_python image result)
  set(manifest ${CLOISTER_IMAGE_DIR}/${image}/manifest.json)
  file(READ ${manifest} text)
  string(JSON version GET "${text}" python_version)
  string(REGEX MATCH "^[0-9]+\\.[0-9]+" version "${version}")
  set(${result} ${version} PARENT_SCOPE)
  # A rebuilt image may have another.
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${manifest})
endfunction()

# Compiles TARGET with the headers of the image's Python.
function(cloister_compile_for_image target image)
  cloister_image_python(${image} python)
  set(headers ${CLOISTER_IMAGE_DIR}/${image}/sdk/usr/include)
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR})
  # Not through cloister_proto itself, which would bring shared libraries.
  target_include_directories(${target} SYSTEM PRIVATE
    $<TARGET_PROPERTY:cloister_proto,INTERFACE_INCLUDE_DIRECTORIES> ${headers}/python${python})
  # pyconfig.h is in the architecture's directory; the system's libc headers must stay in front.
  target_compile_options(${target} PRIVATE "SHELL:-idirafter ${headers}")
  target_link_libraries(${target} PRIVATE cloister_options)
  add_dependencies(${target} cloister_proto)
endfunction()

# Sets RESULT to the bit of PyThreadState.eval_breaker by which the image's CPython schedules asynchronous
# exceptions: an internal header names it, which is C that a C++ compiler does not accept.
function(cloister_read_async_exception_bit image result)
  cloister_image_python(${image} python)
  set(header
    ${CLOISTER_IMAGE_DIR}/${image}/sdk/usr/include/python${python}/internal/pycore_ceval.h)
  file(STRINGS ${header} line REGEX "#define _PY_ASYNC_EXCEPTION_BIT ")
  if(NOT line MATCHES "\\(1U << ([0-9]+)\\)")
    message(FATAL_ERROR "${header} does not say how asynchronous exceptions are scheduled")
  endif()
  set(${result} ${CMAKE_MATCH_1} PARENT_SCOPE)
endfunction()

# cloister_guest_program(NAME IMAGE SRCS ...): a program around PythonRuntime for the image.
function(cloister_guest_program name image)
  cmake_parse_arguments(ARG "" "" "SRCS" ${ARGN})
  cloister_image_python(${image} python)
  add_executable(${name} ${ARG_SRCS})
  cloister_compile_for_image(${name} ${image})
  set(files)
  foreach(target cloister_guest_runtime_${image} cloister_sandbox_clone cloister_sandbox_files cloister_sandbox_zygote cloister_sandbox_linux
      cloister_sandbox_wire cloister_sandbox_base cloister_proto cloister_api)
    list(APPEND files $<TARGET_FILE:${target}>)
    add_dependencies(${name} ${target})
  endforeach()
  target_link_libraries(${name} PRIVATE
    -Wl,--start-group ${files} -Wl,--end-group ${CLOISTER_GUEST_ARCHIVES}
    ${CLOISTER_IMAGE_DIR}/${image}/sdk/usr/lib/x86_64-linux-gnu/libpython${python}.so)
  # libpython may need a newer libc than this machine's; it runs with the image's.
  target_link_options(${name} PRIVATE -static-libstdc++ -static-libgcc -Wl,--allow-shlib-undefined)
  set_target_properties(${name} PROPERTIES LINK_DEPENDS "${files}" SKIP_BUILD_RPATH ON)
  add_custom_command(TARGET ${name} POST_BUILD
    COMMAND ${CMAKE_COMMAND} -DREADELF=${CLOISTER_READELF} -DBINARY=$<TARGET_FILE:${name}>
      -P ${CLOISTER_GUEST_CMAKE_DIR}/CheckGuestBinary.cmake VERBATIM)
endfunction()
