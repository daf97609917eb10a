#include "io/dicom_reader.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include "kernels/core/error.hpp"

namespace kiban::io {

const DicomReader& dicom_reader() {
  static const auto* reader = [] {
    void* library = dlopen(KIBAN_DICOM_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    void* found = library ? dlsym(library, "kiban_dicom_reader") : nullptr;
    if (!found) {
      const char* why = dlerror();
      throw Error(ErrorCode::usage, fmt::format("this installation of Kiban cannot read DICOM ({}); install Debian's "
                                                "libdcmtk17, or Kiban with its {}",
                                                why ? why : "no reason given", KIBAN_DICOM_LIBRARY));
    }
    return static_cast<const DicomReader*>(found);
  }();
  return *reader;
}

}  // namespace kiban::io
