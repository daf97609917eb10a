#include "engine/runner.hpp"
#include "io/image/image_file.hpp"

namespace kiban::engine {

std::vector<std::filesystem::path> files_behind(PortKind kind, const std::filesystem::path& path) {
  switch (kind) {
    case PortKind::volume:
    case PortKind::projections:
      return io::image_files(path);
    case PortKind::geometry:
    case PortKind::scan:
    case PortKind::preview:
      break;
  }
  return {path};
}

}  // namespace kiban::engine
