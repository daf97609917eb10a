find_package(Threads REQUIRED)
find_package(TBB REQUIRED)
find_package(hwy REQUIRED)
find_package(fmt REQUIRED)
find_package(CLI11 REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(pugixml REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)  # SHA-256 by the processor's own instructions

# ITK: the ImageIO classes only, found file by file. ITKConfig.cmake would also ask for HDF5, GDCM and VTK's modules.
find_path(KIBAN_ITK_INCLUDE itkImageIOBase.h PATH_SUFFIXES ITK-5.2 ITK-5.3 ITK-5.4 REQUIRED)
add_library(kiban_itk_io INTERFACE)
target_include_directories(kiban_itk_io SYSTEM INTERFACE ${KIBAN_ITK_INCLUDE})
foreach(module Common IOImageBase IOMeta IONRRD IONIFTI niftiio IOTIFF IOPNG)
  find_library(KIBAN_ITK_${module} NAMES ITK${module}-5.2 ITK${module}-5.3 ITK${module}-5.4 REQUIRED)
  target_link_libraries(kiban_itk_io INTERFACE ${KIBAN_ITK_${module}})
endforeach()

# DCMTK: the data sets and the codecs, found file by file. DCMTKConfig.cmake would also ask for OpenSSL, TIFF and its own tools.
find_path(KIBAN_DCMTK_INCLUDE dcmtk/dcmdata/dctk.h REQUIRED)
add_library(kiban_dcmtk INTERFACE)
target_include_directories(kiban_dcmtk SYSTEM INTERFACE ${KIBAN_DCMTK_INCLUDE})
foreach(module dcmjpeg dcmjpls dcmdata oflog ofstd)
  find_library(KIBAN_DCMTK_${module} NAMES ${module} REQUIRED)
  target_link_libraries(kiban_dcmtk INTERFACE ${KIBAN_DCMTK_${module}})
endforeach()

# JPEG 2000, which DCMTK does not decode. OpenJPEGConfig.cmake would also ask for OpenJPEG's tools.
find_path(KIBAN_OPENJPEG_INCLUDE openjpeg.h PATH_SUFFIXES openjpeg-2.5 openjpeg-2.4 openjpeg-2.3 REQUIRED)
find_library(KIBAN_OPENJPEG NAMES openjp2 REQUIRED)
add_library(kiban_openjpeg INTERFACE)
target_include_directories(kiban_openjpeg SYSTEM INTERFACE ${KIBAN_OPENJPEG_INCLUDE})
target_link_libraries(kiban_openjpeg INTERFACE ${KIBAN_OPENJPEG})

# The rules of watched folders. Debian's CMake package would link its library; the headers are all of it.
find_path(KIBAN_TOML_INCLUDE toml++/toml.h REQUIRED)
add_library(kiban_toml INTERFACE)
target_include_directories(kiban_toml SYSTEM INTERFACE ${KIBAN_TOML_INCLUDE})

find_package(ZLIB REQUIRED)  # .nii.gz on all cores, and compressed streams checked before ITK fills gaps with zeros
find_path(KIBAN_HDF5_INCLUDE hdf5.h PATH_SUFFIXES hdf5/serial REQUIRED)
# The archive, where there is one: Debian's shared HDF5 loads libcurl, Kerberos, LDAP, GnuTLS and GMP for a network driver
# that Kiban never asks for, and that stays behind in the archive.
find_library(KIBAN_HDF5 NAMES libhdf5_serial.a hdf5_serial hdf5 REQUIRED)
add_library(kiban_hdf5 INTERFACE)
target_include_directories(kiban_hdf5 SYSTEM INTERFACE ${KIBAN_HDF5_INCLUDE})
target_link_libraries(kiban_hdf5 INTERFACE ${KIBAN_HDF5})
if(KIBAN_HDF5 MATCHES "[.]a$")
  find_library(KIBAN_SZIP_LIBRARY NAMES libsz.a sz REQUIRED)  # the SZIP filter, by libaec
  find_library(KIBAN_AEC_LIBRARY NAMES libaec.a aec REQUIRED)
  target_link_libraries(kiban_hdf5 INTERFACE
    ${KIBAN_SZIP_LIBRARY} ${KIBAN_AEC_LIBRARY} ZLIB::ZLIB Threads::Threads ${CMAKE_DL_LIBS} m)
endif()

# HTSlib: the archive, where there is one, so that nothing of it is visible to others; what it would open beyond files
# (URLs, servers of references) is not asked for, as io/genome/reads_file.cpp says.
find_path(KIBAN_HTS_INCLUDE htslib/hts.h REQUIRED)
find_library(KIBAN_HTS NAMES libhts.a hts REQUIRED)
add_library(kiban_hts INTERFACE)
target_include_directories(kiban_hts SYSTEM INTERFACE ${KIBAN_HTS_INCLUDE})
target_link_libraries(kiban_hts INTERFACE ${KIBAN_HTS})
if(KIBAN_HTS MATCHES "[.]a$")
  foreach(part htscodecs deflate bz2 lzma)
    find_library(KIBAN_HTS_${part} NAMES lib${part}.a ${part} REQUIRED)
    target_link_libraries(kiban_hts INTERFACE ${KIBAN_HTS_${part}})
  endforeach()
  target_link_libraries(kiban_hts INTERFACE ZLIB::ZLIB Threads::Threads ${CMAKE_DL_LIBS} m)
endif()

# pocketfft is one header. Debian 12 ships it inside python3-pythran, under another name.
find_file(KIBAN_POCKETFFT NAMES pocketfft_hdronly.h)
if(NOT KIBAN_POCKETFFT)
  find_file(KIBAN_POCKETFFT_PYTHRAN NAMES pocketfft.hpp REQUIRED
    PATHS /usr/lib/python3/dist-packages/pythran/pythonic/numpy/fft NO_DEFAULT_PATH)
  set(KIBAN_POCKETFFT ${KIBAN_POCKETFFT_PYTHRAN} CACHE FILEPATH "The pocketfft header" FORCE)
endif()

if(KIBAN_TESTS)
  find_package(GTest REQUIRED)
endif()
if(KIBAN_BENCHMARKS)
  find_package(benchmark REQUIRED)
endif()
