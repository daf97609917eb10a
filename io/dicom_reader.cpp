#include "io/dicom_reader.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <filesystem>

#include "kernels/core/error.hpp"

namespace kiban::io {
namespace {

/// The library beside this one. Named by its path: a bare name is looked for where the caller of dlopen says, and where
/// a sanitizer stands in between, the caller is the sanitizer.
std::string path_of_library() {
  static const char here = 0;
  Dl_info found{};
  dladdr(&here, &found);
  return (std::filesystem::path(found.dli_fname ? found.dli_fname : "").parent_path() / KIBAN_DICOM_LIBRARY).string();
}

}  // namespace

const DicomReader& dicom_reader() {
  static const auto* reader = [] {
    void* library = dlopen(path_of_library().c_str(), RTLD_NOW | RTLD_LOCAL);
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
