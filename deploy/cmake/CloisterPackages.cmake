# Debian packages: cloister (programs, configuration, service), libcloister-dev (the C++ client), and one
# cloister-image-NAME per image.

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME cloister)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "The Cloister authors <cloister@localhost>")
set(CPACK_PACKAGE_VENDOR Cloister)
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}/packages)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_COMPONENTS_ALL server client ${image_components})

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE zstd)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS OFF)

set(scripts ${CMAKE_SOURCE_DIR}/deploy/debian)
set(CPACK_DEBIAN_SERVER_PACKAGE_NAME cloister)
set(CPACK_DEBIAN_SERVER_PACKAGE_SECTION net)
set(CPACK_DEBIAN_SERVER_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_SERVER_PACKAGE_DEPENDS passwd)
set(CPACK_DEBIAN_SERVER_PACKAGE_RECOMMENDS cloister-image-python3.14)
set(CPACK_DEBIAN_SERVER_PACKAGE_CONTROL_EXTRA
  ${scripts}/conffiles ${scripts}/postinst ${scripts}/prerm ${scripts}/postrm)
set(CPACK_COMPONENT_SERVER_DESCRIPTION
  "sandboxed Python interpreters as a gRPC service\n Runs untrusted Python in sandboxes that start in under a millisecond.")

set(CPACK_DEBIAN_CLIENT_PACKAGE_NAME libcloister-dev)
set(CPACK_DEBIAN_CLIENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_CLIENT_PACKAGE_DEPENDS "libabsl-dev, libgrpc++-dev, libprotobuf-dev, pkg-config")
set(CPACK_COMPONENT_CLIENT_DESCRIPTION "C++ client of Cloister\n Headers and a static library, found as CMake package cloister.")

foreach(component IN LISTS image_components)
  string(TOUPPER ${component} key)
  set(CPACK_DEBIAN_${key}_PACKAGE_NAME cloister-${component})
  set(CPACK_DEBIAN_${key}_PACKAGE_SECTION python)
  # It runs on the image's own C library: nothing of the machine it is installed on.
  set(CPACK_DEBIAN_${key}_PACKAGE_SHLIBDEPS OFF)
  set(CPACK_DEBIAN_${key}_PACKAGE_DEPENDS "cloister (= ${PROJECT_VERSION})")
  set(CPACK_DEBIAN_${key}_PACKAGE_CONTROL_EXTRA ${scripts}/image/postinst)
  string(TOUPPER CPACK_COMPONENT_${component}_DESCRIPTION description)
  set(${description} "runtime image ${component} of Cloister\n What sandboxed programs see as their whole world.")
endforeach()

include(CPack)
