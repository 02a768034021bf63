# What `cmake --install` puts where, and the Debian packages that `cpack -G DEB` makes of it.
#
# The programs keep the tree they have in the build directory, below lib/cloister, because cloisterd
# finds the spawner beside itself and the guests in ../lib/cloister: nothing has to be told paths.

include(GNUInstallDirs)

set(programs lib/cloister)
set(guests ${programs}/lib/cloister)
set(images ${programs}/images)

install(TARGETS cloister cloisterd cloister-spawner RUNTIME DESTINATION ${programs}/bin COMPONENT server)
file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/links)
foreach(program cloister cloisterd)
  file(CREATE_LINK ../${programs}/bin/${program} ${CMAKE_CURRENT_BINARY_DIR}/links/${program} SYMBOLIC)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/links/${program} DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT server)
endforeach()

# The same configuration as in deploy/config, but for where the packaged images are. It and the unit are for the
# packages, which go to /usr whatever else is installed where.
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
file(READ ${CMAKE_SOURCE_DIR}/deploy/config/cloisterd.textproto config)
string(REPLACE "image_directory: \"/var/lib/cloister/images\""
  "image_directory: \"${CPACK_PACKAGING_INSTALL_PREFIX}/${images}\"" config "${config}")
file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/cloisterd.textproto "${config}")
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/cloisterd.textproto DESTINATION /etc/cloister COMPONENT server)
configure_file(${CMAKE_SOURCE_DIR}/deploy/systemd/cloisterd.service.in
  ${CMAKE_CURRENT_BINARY_DIR}/cloisterd.service @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/cloisterd.service DESTINATION /lib/systemd/system COMPONENT server)

install(FILES README.md SECURITY.md ARCHITECTURE.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT server)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright COMPONENT server)
install(DIRECTORY proto/cloister/v1 DESTINATION ${CMAKE_INSTALL_DATADIR}/cloister/proto/cloister
  COMPONENT server FILES_MATCHING PATTERN "*.proto")

# One package per runtime image that a guest was built for: the image, and that guest. They belong
# together, because the guest is compiled against that image's Python.
set(image_components)
if(CLOISTER_BUILD_GUESTS)
  file(GLOB manifests ${CLOISTER_IMAGE_DIR}/*/manifest.json)
  foreach(manifest IN LISTS manifests)
    get_filename_component(directory ${manifest} DIRECTORY)
    get_filename_component(image ${directory} NAME)
    list(APPEND image_components image-${image})
    install(TARGETS cloister-guest-${image} RUNTIME DESTINATION ${guests} COMPONENT image-${image})
    install(FILES ${manifest} DESTINATION ${images}/${image} COMPONENT image-${image})
    install(DIRECTORY ${directory}/rootfs DESTINATION ${images}/${image} COMPONENT image-${image} USE_SOURCE_PERMISSIONS)
  endforeach()
endif()

# The C++ client. Static libraries; what they need is found by the package's configuration.
install(TARGETS cloister_api cloister_api_grpc cloister_client cloister_options EXPORT cloister
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT client
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} ${CMAKE_INSTALL_INCLUDEDIR}/cloister-proto)
foreach(target api api_grpc client)
  set_target_properties(cloister_${target} PROPERTIES EXPORT_NAME ${target})
endforeach()
install(DIRECTORY clients/cpp/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT client)
# In a directory of their own: other packages may bring google/rpc as well.
install(DIRECTORY ${CMAKE_BINARY_DIR}/proto/gen/cloister/v1 DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/cloister-proto/cloister
  COMPONENT client FILES_MATCHING PATTERN "*.h")
install(DIRECTORY ${CMAKE_BINARY_DIR}/proto/gen/google DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/cloister-proto
  COMPONENT client FILES_MATCHING PATTERN "*.h")
install(EXPORT cloister NAMESPACE cloister:: FILE cloister-targets.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/cloister COMPONENT client)
include(CMakePackageConfigHelpers)
configure_package_config_file(clients/cpp/cmake/cloister-config.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/cloister-config.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/cloister)
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/cloister-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/cloister-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/cloister-config-version.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/cloister COMPONENT client)

include(CloisterPackages)
