# Programs that embed the CPython of one runtime image. They run on the image's own libc and libpython and
# bring everything else along, because an image holds no C++ libraries.

find_program(CLOISTER_READELF readelf REQUIRED)
set(cloister_guest_dir ${CMAKE_CURRENT_LIST_DIR})

# As archives, with what they need of each other; find_package gives the shared libraries.
function(_cloister_find_static_libraries result)
  execute_process(COMMAND ${PKG_CONFIG_EXECUTABLE} --static --libs-only-l
      protobuf absl_status absl_statusor absl_time absl_strings libseccomp
    OUTPUT_VARIABLE flags OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "-l[^ ]+" flags "${flags}")
  list(REMOVE_DUPLICATES flags)
  # Part of glibc, and what only programs with threads of their own need.
  list(REMOVE_ITEM flags -lm -lrt -lpthread -ldl -latomic)
  set(${result} -Wl,-Bstatic -Wl,--start-group ${flags} -Wl,--end-group -Wl,-Bdynamic PARENT_SCOPE)
endfunction()
_cloister_find_static_libraries(cloister_guest_static_libraries)

# Sets IMAGE_python to "3.14" for the image in directory IMAGE_DIR.
function(cloister_image_python image_dir result)
  file(READ ${image_dir}/manifest.json manifest)
  string(JSON version GET "${manifest}" python_version)
  string(REGEX MATCH "^[0-9]+\\.[0-9]+" version "${version}")
  set(${result} ${version} PARENT_SCOPE)
  # A rebuilt image may be another Python.
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${image_dir}/manifest.json)
endfunction()

# cloister_guest_program(NAME IMAGE_DIR SRCS ...): links cloister::sandbox_guest's sources, compiled for
# the image.
function(cloister_guest_program name image_dir)
  cmake_parse_arguments(ARG "" "" "SRCS" ${ARGN})
  cloister_image_python(${image_dir} python)
  set(sdk ${image_dir}/sdk/usr)
  set(archives cloister_sandbox_zygote cloister_sandbox_linux cloister_sandbox_wire cloister_proto)
  add_executable(${name} ${ARG_SRCS})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
  # Not through the archives' targets, which would bring shared libraries.
  target_include_directories(${name} SYSTEM PRIVATE
    $<TARGET_PROPERTY:cloister_proto,INTERFACE_INCLUDE_DIRECTORIES> ${sdk}/include/python${python})
  # After the system's own headers: only what the system lacks, pyconfig.h.
  target_compile_options(${name} PRIVATE "SHELL:-idirafter ${sdk}/include")
  set(files)
  foreach(archive IN LISTS archives)
    list(APPEND files $<TARGET_FILE:${archive}>)
  endforeach()
  add_dependencies(${name} ${archives})
  target_link_libraries(${name} PRIVATE cloister_options
    -Wl,--start-group ${files} -Wl,--end-group ${cloister_guest_static_libraries}
    ${sdk}/lib/x86_64-linux-gnu/libpython${python}.so)
  # The image's libpython is newer than this machine's libc.
  target_link_options(${name} PRIVATE
    -static-libstdc++ -static-libgcc -Wl,--allow-shlib-undefined -Wl,--gc-sections)
  set_target_properties(${name} PROPERTIES
    LINK_DEPENDS "${files}" SKIP_BUILD_RPATH ON)
  add_custom_command(TARGET ${name} POST_BUILD
    COMMAND ${CMAKE_COMMAND} -DREADELF=${CLOISTER_READELF} -DBINARY=$<TARGET_FILE:${name}>
      -P ${cloister_guest_dir}/CheckGuestBinary.cmake VERBATIM)
endfunction()
