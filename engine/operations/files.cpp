#include "engine/files.hpp"

#include "io/genome/reads_file.hpp"
#include "io/genome/reference_file.hpp"
#include "io/image/image_file.hpp"
#include "io/output_file.hpp"

namespace kiban::engine {
namespace {

/// A list, where there is one, and all that it names, with the indices.
std::vector<std::filesystem::path> alignment_files(const std::filesystem::path& path) {
  std::vector<std::filesystem::path> files;
  for (const std::filesystem::path& listed : io::listed_reads(path)) {
    if (listed != path && files.empty()) files.push_back(path);
    for (const std::filesystem::path& file : io::reads_files(listed)) files.push_back(file);
  }
  return files;
}

}  // namespace

std::vector<std::filesystem::path> files_behind(PortKind kind, const std::filesystem::path& path) {
  switch (kind) {
    case PortKind::volume:
    case PortKind::projections:
    case PortKind::image:
    case PortKind::labels:
    case PortKind::logits:
      return io::image_files(path);
    case PortKind::geometry:
    case PortKind::scan:
    case PortKind::preview:
    case PortKind::report:
    case PortKind::pairs:
    case PortKind::likelihoods:
    case PortKind::variants:
    case PortKind::regions:
      break;
    case PortKind::reads:
      return alignment_files(path);
    case PortKind::reference:
      return io::reference_files(path);
  }
  return {path};
}

std::vector<std::filesystem::path> files_beside(PortKind kind, const std::filesystem::path& path) {
  if (kind != PortKind::variants) return {};
  return {path.string() + ".tbi", path.string() + ".csi"};
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
