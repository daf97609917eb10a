#pragma once
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/watch_folder/watcher.hpp"
#include "tests/engine/watch_folder/small_registry.hpp"

namespace kiban::test {

class SetClock : public engine::Clock {
 public:
  std::int64_t boot_us() const override { return boot_s * 1'000'000; }
  std::string boot_id() const override { return "one"; }
  std::int64_t wall_us() const override { return 1'795'000'000'000'000 + boot_s * 1'000'000; }
  std::int64_t boot_s = 1000;
};

inline const std::string kRules =
    "[settings]\nquiet_s = 10\nmarker = \"DONE\"\ndone = \"finished\"\nsubmitter = \"room-2\"\n"
    "[[rule]]\nname = \"head\"\noperation = \"test.scale\"\npriority = \"urgent\"\n"
    "match.files.\"*.mha\" = 1\nmatch.dicom = { Modality = \"CT\", Part = [\"HEAD\", \"NECK*\"] }\n"
    "inputs.scan = \"{file:*.mha}\"\noutputs.result = \"RESULTS/{date}/{study}.mha\"\nparameters.factor = 2\n"
    "[[rule]]\nname = \"other\"\noperation = \"test.scale\"\nmatch.files = { \"*.mha\" = 2 }\n"
    "inputs.scan = \"{folder}\"\noutputs.result = \"RESULTS/{key}.mha\"\n";

/// A watched folder whose queue nobody works on, and a clock that stands until it is moved.
struct Watched {
  std::unique_ptr<Folder> own;  ///< none where another object has it
  std::filesystem::path folder;
  SetClock clock;
  std::filesystem::path in = folder / "in", results = folder / "results", unmatched = in / "unmatched",
                        done = in / "finished";
  std::unique_ptr<engine::Queue> queue;
  std::vector<nlohmann::json> log;
  std::string rules = kRules;
  std::optional<engine::FolderWatcher> watcher;

  Watched() : own(std::make_unique<Folder>()), folder(own->path()) {
    std::filesystem::create_directory(in);
    open();
  }
  /// Of a folder that is there, as another process has it.
  explicit Watched(const std::filesystem::path& there) : folder(there) { open(); }

  void open() {
    for (std::size_t at; (at = rules.find("RESULTS")) != std::string::npos;) rules.replace(at, 7, results.string());
    queue = engine::open_queue("sqlite://" + (folder / "queue/q.sqlite").string(), clock);
    start();
  }
  void start() {
    watcher.reset();
    write_text(folder / "rules.toml", rules);
    watcher.emplace(
        in, engine::read_watch_rules(folder / "rules.toml", in, small_registry(), small_tags()), small_tags(), *queue,
        [this](const char* event, nlohmann::json line) {
          line["event"] = event;
          log.push_back(line);
        },
        clock);
  }
  void look(std::int64_t after_s = 0) {
    clock.boot_s += after_s;
    watcher->look([] { return false; });
  }
  /// Seen, and then long enough without a change.
  void settle() {
    look();
    look(10);
  }
  void drop_head(const std::string& name, const std::string& content = "voxels") const {
    write_text(in / name / "v.mha", content);
    write_text(in / name / "tags", "TAGS\nModality=CT\nPart=NECK-2\nName=Secret^Name\n");
  }
  std::vector<engine::Job> jobs() const { return queue->list({}); }
  /// As a worker would.
  void succeed() {
    for (const engine::Claim& claim : queue->claim({.worker = "w", .most = 100, .only = {}})) {
      engine::Outcome outcome;
      outcome.lease = claim.lease;
      outcome.result = claim.job.id;
      ASSERT_TRUE(queue->finish({outcome})[0]);
      queue->published(claim.job.id, "");
    }
  }
  int told(const std::string& event) const {
    return static_cast<int>(std::ranges::count_if(log, [&](const auto& line) { return line["event"] == event; }));
  }
  std::string reason(const std::string& name) const { return read_text(unmatched / (name + ".reason.txt")); }
};

}  // namespace kiban::test
