#include "engine/queue/sqlite_schema.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

#include "engine/durable_file.hpp"
#include "engine/queue/sqlite_location.hpp"
#include "engine/queue/sqlite_sealed_pages.hpp"

namespace kiban::engine {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kApplication = 0x4B69626E;  // "Kibn"

// `request` is what was asked for and never changes; `job` is what became of it, small, so that a page holds many.
// Counts and heads are kept beside them, so that nothing that is asked often reads all jobs.
constexpr const char* kSchema = R"sql(
CREATE TABLE queue(
  one INTEGER PRIMARY KEY CHECK (one = 1), settings TEXT NOT NULL, paused INTEGER NOT NULL,
  last_number INTEGER NOT NULL, last_id TEXT NOT NULL, virtual_time REAL NOT NULL,
  succeeded INTEGER NOT NULL, failed INTEGER NOT NULL, cancelled INTEGER NOT NULL, unpublished INTEGER NOT NULL) STRICT;
CREATE TABLE class(
  priority INTEGER PRIMARY KEY, waiting INTEGER NOT NULL, queued INTEGER NOT NULL, running INTEGER NOT NULL,
  virtual_finish REAL NOT NULL, device_seconds REAL NOT NULL) STRICT;
CREATE TABLE submitter(number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, running INTEGER NOT NULL) STRICT;
CREATE TABLE lane(
  priority INTEGER NOT NULL, submitter INTEGER NOT NULL, queued INTEGER NOT NULL, head INTEGER NOT NULL,
  PRIMARY KEY (priority, submitter)) STRICT, WITHOUT ROWID;
CREATE INDEX lane_head ON lane(priority, head) WHERE queued > 0;
CREATE TABLE boot(number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE cost(operation TEXT PRIMARY KEY, seconds REAL NOT NULL, jobs INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE finished(minute INTEGER PRIMARY KEY, jobs INTEGER NOT NULL) STRICT;
CREATE TABLE request(
  number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, submitter INTEGER NOT NULL, key TEXT, operation TEXT NOT NULL,
  content TEXT NOT NULL, submission TEXT NOT NULL, seal TEXT NOT NULL) STRICT;
CREATE UNIQUE INDEX request_key ON request(submitter, key) WHERE key IS NOT NULL;
CREATE TABLE edge(parent INTEGER NOT NULL, child INTEGER NOT NULL, PRIMARY KEY (parent, child)) STRICT, WITHOUT ROWID;
CREATE INDEX edge_child ON edge(child, parent);
CREATE TABLE output(path TEXT PRIMARY KEY, job INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX output_job ON output(job);
CREATE TABLE job(
  number INTEGER PRIMARY KEY, submitter INTEGER NOT NULL, priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 3),
  state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 5), attempts INTEGER NOT NULL, lost_leases INTEGER NOT NULL,
  backoffs INTEGER NOT NULL, blockers INTEGER NOT NULL, outputs INTEGER NOT NULL, due_boot INTEGER, due_us INTEGER,
  lease_token TEXT, lease_boot INTEGER, lease_until INTEGER, worker TEXT NOT NULL, stage TEXT NOT NULL,
  fraction REAL NOT NULL, cancel_asked INTEGER NOT NULL, cancel_why TEXT NOT NULL, submitted_us INTEGER NOT NULL,
  queued_us INTEGER NOT NULL, started_us INTEGER NOT NULL, finished_us INTEGER NOT NULL, device_seconds REAL NOT NULL,
  charged REAL NOT NULL, charged_class INTEGER NOT NULL, error_code INTEGER, error TEXT NOT NULL, fault_of TEXT,
  result TEXT NOT NULL, published INTEGER NOT NULL, publish_error TEXT NOT NULL) STRICT;
CREATE INDEX job_queued ON job(priority, submitter, number) WHERE state = 1;
CREATE INDEX job_running ON job(lease_boot, lease_until) WHERE state = 2;
CREATE INDEX job_due ON job(due_boot, due_us) WHERE due_us IS NOT NULL;
CREATE INDEX job_unpublished ON job(number) WHERE state = 3 AND published = 0;
CREATE INDEX job_finished ON job(finished_us) WHERE state >= 3;
CREATE INDEX job_fault ON job(fault_of) WHERE fault_of IS NOT NULL;
INSERT INTO class VALUES (0, 0, 0, 0, 0, 0), (1, 0, 0, 0, 0, 0), (2, 0, 0, 0, 0, 0), (3, 0, 0, 0, 0, 0);
)sql";

std::uint32_t big_endian(const unsigned char* bytes) {
  return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 | std::uint32_t{bytes[2]} << 8 | bytes[3];
}

Error unmade(const fs::path& file, int failure) {
  return {ErrorCode::input, fmt::format("{}: no queue can be made there ({}); give this user the right to write the "
                                        "folder, make room, or name another with KIBAN_QUEUE",
                                        file.string(), std::generic_category().message(failure))};
}

void fill(const fs::path& file) {
  Connection connection(file, Connection::Mode::make);
  int reserved = kPageSealBytes;
  sqlite3_file_control(connection.handle(), "main", SQLITE_FCNTL_RESERVE_BYTES, &reserved);
  connection.run(fmt::format("PRAGMA application_id = {}; PRAGMA user_version = {}; PRAGMA page_size = {}; "
                             "PRAGMA synchronous = FULL; BEGIN",
                             kApplication, kSchemaVersion, kPageBytes)
                     .c_str());
  connection.run(kSchema);
  connection.change("INSERT INTO queue VALUES (1, ?, 0, 0, '', 0, 0, 0, 0, 0)", written(QueueSettings{}));
  connection.run("COMMIT; PRAGMA journal_mode = WAL");
}

void remove_with_journals(const fs::path& file) {
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) unlink((file.string() + suffix).c_str());
}

}  // namespace

void make_folder(const fs::path& folder) {
  if (folder.empty() || fs::exists(folder)) return;
  make_folder(folder.parent_path());
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) throw unmade(folder, errno);
  flush_folder(folder.parent_path());
}

void make_store(const fs::path& file) {
  make_folder(file.parent_path());
  require_local(file.parent_path());
  for (const char* suffix : {"-wal", "-journal"})
    if (const std::string journal = file.string() + suffix; fs::exists(journal) && !fs::is_empty(journal))
      throw Error(ErrorCode::input,
                  fmt::format("{}: is missing while its journal {} is there, which belongs to a queue "
                              "that was lost; put a backup in its place with: kiban restore BACKUP",
                              file.string(), journal));
  const fs::path fresh = file.string() + fmt::format(".new-{}", getpid());
  remove_with_journals(fresh);
  // Made here and not by SQLite, so that nobody else may read it for a moment either.
  const int made = open(fresh.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  if (made < 0) throw unmade(file, errno);
  close(made);
  try {
    fill(fresh);
    flush_file(fresh);
    require_restored(file);
    if (link(fresh.c_str(), file.c_str()) != 0 && errno != EEXIST) throw unmade(file, errno);
  } catch (...) {
    remove_with_journals(fresh);
    throw;
  }
  remove_with_journals(fresh);
  flush_folder(file.parent_path());
}

void require_store(const fs::path& file) {
  std::array<unsigned char, 100> header{};
  std::ifstream stream(file, std::ios::binary);
  if (!stream)
    throw Error(ErrorCode::input, fmt::format("{}: cannot be opened ({}); check that it exists and who may read it",
                                              file.string(), std::generic_category().message(errno)));
  if (!stream.read(reinterpret_cast<char*>(header.data()), header.size())) throw damaged(file, "it is cut short");
  if (std::memcmp(header.data(), "SQLite format 3", 16) != 0) throw damaged(file, "it is not a file of SQLite's");
  if (big_endian(&header[68]) != kApplication) throw damaged(file, "it is not a queue of Kiban's");
  if (const std::uint32_t version = big_endian(&header[60]); version > kSchemaVersion)
    throw Error(ErrorCode::input, fmt::format("{}: this queue is of version {}, and this Kiban knows up to {}; use a "
                                              "later Kiban",
                                              file.string(), version, kSchemaVersion));
  else if (version < 1)
    throw damaged(file, "it has no version");
  if (header[16] * 256 + header[17] != kPageBytes || header[20] != kPageSealBytes)
    throw damaged(file, "its pages are not sealed");
  // With a journal beside it a checkpoint may have been cut short, which SQLite mends.
  const std::string journal = file.string() + "-wal";
  const bool may_be_mended = fs::exists(journal) && !fs::is_empty(journal);
  if (fs::file_size(file) % kPageBytes != 0 && !may_be_mended) throw damaged(file, "it is cut short");
}

void require_whole(Connection& connection) {
  std::string found;
  {
    Rows rows = connection.query("PRAGMA quick_check(1)");
    found = rows.next() ? rows.text(0) : "no answer";
  }
  if (found == "ok") return;
  std::ranges::replace(found, '\n', ' ');
  connection.condemn(found);
  connection.require_sound();
}

void set_up(Connection& connection) {
  connection.run(
      "PRAGMA synchronous = FULL; PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY; "
      "PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF; PRAGMA wal_autocheckpoint = 4000");
  Rows mode = connection.query("PRAGMA journal_mode");
  if (!mode.next() || mode.text(0) != "wal") {
    connection.condemn("its journal is not a write-ahead log");
    connection.require_sound();
  }
}

void require_valid(const QueueSettings& settings) {
  const auto require = [](bool holds, const char* what) {
    if (!holds) throw Error(ErrorCode::usage, fmt::format("settings of a queue: {}; change it", what));
  };
  const auto positive = [](double value) { return value > 0 && value < 1e9; };  // seconds: 30 years
  require(positive(settings.heartbeat_s), "the heartbeat is not above 0 s");
  require(positive(settings.lease_s) && settings.lease_s > settings.heartbeat_s,
          "the lease is no longer than a heartbeat");
  require(positive(settings.first_backoff_s), "the first back-off is not above 0 s");
  require(positive(settings.most_backoff_s) && settings.most_backoff_s >= settings.first_backoff_s,
          "the longest back-off is shorter than the first");
  require(settings.most_attempts >= 1 && settings.most_lost_leases >= 1, "no attempt is allowed");
  require(settings.most_unfinished >= 1, "no job is allowed");
  require(settings.most_running_of_submitter >= 0, "the cap of a submitter is below 0");
  for (const double share : settings.shares) require(positive(share), "a share is not above 0");
}

std::string written(const QueueSettings& settings) {
  return nlohmann::json{{"lease_s", settings.lease_s},
                        {"heartbeat_s", settings.heartbeat_s},
                        {"most_attempts", settings.most_attempts},
                        {"most_lost_leases", settings.most_lost_leases},
                        {"first_backoff_s", settings.first_backoff_s},
                        {"most_backoff_s", settings.most_backoff_s},
                        {"most_unfinished", settings.most_unfinished},
                        {"most_running_of_submitter", settings.most_running_of_submitter},
                        {"shares", settings.shares}}
      .dump();
}

QueueSettings settings_from(const std::string& text) {
  const nlohmann::json json = nlohmann::json::parse(text);
  QueueSettings settings;
  json.at("lease_s").get_to(settings.lease_s);
  json.at("heartbeat_s").get_to(settings.heartbeat_s);
  json.at("most_attempts").get_to(settings.most_attempts);
  json.at("most_lost_leases").get_to(settings.most_lost_leases);
  json.at("first_backoff_s").get_to(settings.first_backoff_s);
  json.at("most_backoff_s").get_to(settings.most_backoff_s);
  json.at("most_unfinished").get_to(settings.most_unfinished);
  json.at("most_running_of_submitter").get_to(settings.most_running_of_submitter);
  json.at("shares").get_to(settings.shares);
  return settings;
}

}  // namespace kiban::engine
