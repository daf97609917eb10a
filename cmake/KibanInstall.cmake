# `find_package(kiban)` gives kiban::kernels, kiban::io and kiban::engine with the same include paths as in this tree, and
# the prefix may be moved afterwards: nothing in it names where it was built. tests/install proves both.
include(CMakePackageConfigHelpers)
set(KIBAN_INCLUDEDIR ${CMAKE_INSTALL_INCLUDEDIR}/kiban)
set(KIBAN_PACKAGEDIR ${CMAKE_INSTALL_LIBDIR}/cmake/kiban)

foreach(room kernels io engine)
  target_include_directories(kiban_${room} INTERFACE $<INSTALL_INTERFACE:${KIBAN_INCLUDEDIR}>)
  target_compile_features(kiban_${room} PUBLIC cxx_std_20)
  # Another project's executable links one room and finds the others beside it.
  set_target_properties(kiban_${room} PROPERTIES INSTALL_RPATH "$ORIGIN")
endforeach()
if(SKBUILD AND KIBAN_HAS_CUDA)  # in a wheel: where pip puts nvidia-cufft, which kernels/core/cuda opens when it is asked to
  set_property(TARGET kiban_kernels APPEND PROPERTY INSTALL_RPATH "$ORIGIN/../../nvidia/cu${CUDAToolkit_VERSION_MAJOR}/lib")
endif()
set_target_properties(kiban_dicom PROPERTIES INSTALL_RPATH "$ORIGIN")
install(TARGETS kiban_dicom LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} NAMELINK_SKIP)  # opened by kiban_io, linked by nobody
install(TARGETS kiban_kernels kiban_io kiban_engine kiban EXPORT kibanTargets
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
# What stays behind is how a thing is made, not how it is called: mathematics, and headers of CUDA, ITK, HDF5, DCMTK and TOML.
foreach(room kernels io engine)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/${room} DESTINATION ${KIBAN_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp"
    PATTERN "*-inl.hpp" EXCLUDE PATTERN "cuda" EXCLUDE PATTERN "image_io.hpp" EXCLUDE PATTERN "pixel_conversion.hpp" EXCLUDE PATTERN "hdf5_handle.hpp" EXCLUDE
    PATTERN "hdf5_dataset.hpp" EXCLUDE PATTERN "sinking_cpu.hpp" EXCLUDE
    PATTERN "dicom" EXCLUDE PATTERN "toml_section.hpp" EXCLUDE)
endforeach()
install(EXPORT kibanTargets NAMESPACE kiban:: DESTINATION ${KIBAN_PACKAGEDIR})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/kibanConfig.cmake.in
  ${PROJECT_BINARY_DIR}/kibanConfig.cmake INSTALL_DESTINATION ${KIBAN_PACKAGEDIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/kibanConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/kibanConfig.cmake ${PROJECT_BINARY_DIR}/kibanConfigVersion.cmake
  DESTINATION ${KIBAN_PACKAGEDIR})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
