#include <fcntl.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "engine/fault_point.hpp"
#include "engine/worker/attempt.hpp"
#include "engine/worker/durable_file.hpp"

namespace kiban::engine {
namespace {

namespace fs = std::filesystem;

void write_manifest(const fs::path& folder, const nlohmann::json& manifest) {
  const fs::path path = folder / "manifest.json";
  const std::string text = manifest.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  const FileDescriptor file(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  if (file.number() < 0) throw write_failure(path, errno);
  write_all(file, text.data(), text.size(), path);
}

void flush_files(const fs::path& folder) {
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    flush_file(entry.path());
    fault_point("seal.file_synced");
  }
}

/// Each that has not failed; what one throws is its own.
template <class Step>
void each(std::vector<Sealing>& sealings, const Step& step) {
  for (Sealing& sealing : sealings) {
    if (sealing.failure) continue;
    try {
      step(sealing);
    } catch (...) {
      sealing.failure = std::current_exception();
    }
  }
}

}  // namespace

void seal_together(std::vector<Sealing>& sealings) {
  each(sealings, [](const Sealing& sealing) {
    write_manifest(sealing.folder, *sealing.manifest);
    fault_point("seal.written");
  });
  each(sealings, [](const Sealing& sealing) { flush_files(sealing.folder); });
  // A name is safe once the folder that holds it is: first the attempts', then the jobs', last the results'.
  each(sealings, [](const Sealing& sealing) {
    flush_folder(sealing.folder);
    fault_point("seal.folder_synced");
  });
  for (int level = 1; level <= 2; ++level) {
    std::set<fs::path> flushed;
    each(sealings, [&](const Sealing& sealing) {
      const fs::path above = level == 1 ? sealing.folder.parent_path() : sealing.folder.parent_path().parent_path();
      if (flushed.contains(above)) return;
      flush_folder(above);
      flushed.insert(above);
      fault_point("seal.folder_synced");
    });
  }
}

void seal(const fs::path& folder, const nlohmann::json& manifest) {
  std::vector<Sealing> sealings{{folder, &manifest, {}}};
  seal_together(sealings);
  if (sealings[0].failure) std::rethrow_exception(sealings[0].failure);
}

}  // namespace kiban::engine
