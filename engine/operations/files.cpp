#include "engine/files.hpp"

#include "io/image/image_file.hpp"
#include "io/output_file.hpp"

namespace kiban::engine {

std::vector<std::filesystem::path> files_behind(PortKind kind, const std::filesystem::path& path) {
  switch (kind) {
    case PortKind::volume:
    case PortKind::projections:
      return io::image_files(path);
    case PortKind::geometry:
    case PortKind::scan:
    case PortKind::preview:
    case PortKind::pairs:
    case PortKind::likelihoods:
      break;
  }
  return {path};
}

std::string full_extension(const std::filesystem::path& path) { return io::full_extension(path); }

std::filesystem::path link_target(const std::filesystem::path& path, std::error_code& failure) {
  return io::link_target(path, failure);
}

void store_unflushed(Work& work, Progress& progress) {
  const io::FlushByCaller scope;
  work.store(progress);
}

}  // namespace kiban::engine
