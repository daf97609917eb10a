#include "io/dicom_reader.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "io/input_file.hpp"
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

bool begins_as_dicom(const std::filesystem::path& file) {
  constexpr std::int64_t preamble = 128;
  try {
    return read_bytes(file, preamble, 4) == "DICM";
  } catch (const Error&) {
    return false;
  }
}

std::vector<std::filesystem::path> dicom_files(const std::filesystem::path& path) {
  std::vector<std::filesystem::path> files;
  std::error_code failure;
  if (!std::filesystem::is_directory(path, failure)) {
    if (begins_as_dicom(path)) files.push_back(path);
    return files;
  }
  for (std::filesystem::directory_iterator entry(path, failure), end; !failure && entry != end;
       entry.increment(failure))
    if (entry->is_regular_file(failure) && begins_as_dicom(entry->path())) files.push_back(entry->path());
  std::ranges::sort(files);
  return files;
}

const DicomReader& dicom_reader() {
  static const auto* reader = [] {
    void* library = dlopen(path_of_library().c_str(), RTLD_NOW | RTLD_LOCAL);
    void* found = library ? dlsym(library, "kiban_dicom_reader") : nullptr;
    if (!found) {
      const char* why = dlerror();
      throw Error(ErrorCode::usage, fmt::format("this installation of Kiban cannot read DICOM ({}); install Debian's "
                                                "libdcmtk17 and libopenjp2-7, or Kiban with its {}",
                                                why ? why : "no reason given", KIBAN_DICOM_LIBRARY));
    }
    return static_cast<const DicomReader*>(found);
  }();
  return *reader;
}

}  // namespace kiban::io
