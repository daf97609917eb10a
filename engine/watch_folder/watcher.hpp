#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "engine/queue/clock.hpp"
#include "engine/queue/queue.hpp"
#include "engine/watch_folder/match.hpp"
#include "engine/watch_folder/rules.hpp"
#include "engine/watch_folder/study.hpp"

namespace kiban::engine {

/// Turns the study folders of a folder into jobs; docs/watch-folder.md says what it promises. It keeps no state of its
/// own: what was submitted the queue knows by the content key, so that after a crash everything is looked at again and
/// nothing is submitted twice. A study is worked on alone; what fails with one is tried again later, and the others go
/// on.
class FolderWatcher {
 public:
  /// What is told of it: ids, codes, stages and times; never values, paths or names.
  using Log = std::function<void(const char* event, const nlohmann::json& fields)>;

  /// Makes the folders that the settings name.
  ///   watched   without links
  /// Errors: input (it is no folder, cannot be written, or somebody else watches it).
  FolderWatcher(std::filesystem::path watched, WatchRules rules, TagReader reader, Queue& queue, Log log,
                const Clock& clock = machine_clock());
  ~FolderWatcher();
  FolderWatcher(const FolderWatcher&) = delete;
  FolderWatcher& operator=(const FolderWatcher&) = delete;

  /// Looks once at everything, and does what has become due.
  /// Returns how long looking took, in microseconds, without what was done.
  std::int64_t look(const std::function<bool()>& stop);

  /// Looks again and again, every second, or less often where looking takes long, until `stop` says so.
  void run(const std::function<bool()>& stop);

 private:
  struct Tracked;

  void settle(const std::string& name, Tracked& tracked, const Study& study, const std::function<bool()>& stop);
  void set_aside(Tracked& tracked, const Study& study, const std::string& code,
                 const std::vector<std::string>& reasons);
  void submit(Tracked& tracked, const Study& study, const Match& match, const std::string& key);
  std::string submitted_id(Tracked& tracked, const Submission& submission);
  void supersede(Tracked& tracked, const std::string& key);
  void follow(Tracked& tracked, const Study& study);
  void find_earlier_jobs();
  void tell(const char* event, const Tracked& tracked, nlohmann::json more) const;
  bool is_study(const std::filesystem::directory_entry& entry) const;

  std::filesystem::path watched_;
  WatchRules rules_;
  TagReader reader_;
  Queue& queue_;
  Log log_;
  const Clock& clock_;
  int lock_ = -1;
  std::int64_t next_number_ = 1;
  std::map<std::string, Tracked> studies_;      ///< by the name of the folder
  std::map<std::string, std::string> earlier_;  ///< ids of live jobs of earlier runs, by an input
};

}  // namespace kiban::engine
