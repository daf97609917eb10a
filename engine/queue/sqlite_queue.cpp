#include "engine/queue/sqlite_queue.hpp"

#include <fmt/format.h>

#include "engine/queue/sqlite_journal.hpp"
#include "engine/queue/sqlite_schema.hpp"

namespace kiban::engine {
namespace {

/// Up to this size a store is read through whenever it is opened; a larger one before its first claim, so that a look
/// at a million jobs takes no longer than one at a thousand, and no worker works from a damaged store.
constexpr std::uintmax_t kReadAtOnce = 16 << 20;

}  // namespace

SqliteQueue::SqliteQueue(const std::filesystem::path& file, const Clock& clock)
    : file_(file), clock_(clock), open_(file, [&](bool elsewhere) {
        require_store(file);
        if (!elsewhere) require_whole_journal(file);
      }) {
  const auto verdict = std::make_shared<Verdict>();
  writer_ = std::make_unique<Connection>(file, Connection::Mode::write, verdict);
  set_up(*writer_);
  require_restored(file);  // asked while it is seen to be open: a restore marks first, then asks who has it open
  if (std::filesystem::file_size(file) <= kReadAtOnce) require_read_through();
  if (!open_.was_open()) begin_journal();
  reader_ = std::make_unique<Connection>(file, Connection::Mode::write, verdict);
  set_up(*reader_);
}

SqliteQueue::~SqliteQueue() {
  try {
    open_.require_own_process();
  } catch (const Error&) {
    writer_->abandon();
    reader_->abandon();
  }
}

// After a crash: a new journal, so that what is torn at the end of this one never lies behind what comes next. Who may
// not write, or has no room, can still look.
void SqliteQueue::begin_journal() {
  try {
    writer_->run("PRAGMA wal_checkpoint(TRUNCATE)");
  } catch (const Error&) {
    writer_->require_sound();
  }
}

void SqliteQueue::require_read_through() {
  if (!read_through_) require_whole(*writer_);
  read_through_ = true;
}

std::vector<Receipt> SqliteQueue::submit(const std::vector<Submission>& submissions) {
  for (const Submission& submission : submissions) require_valid(submission);
  return change(
      [&](Change& change) {
        std::vector<Receipt> receipts;
        for (const Submission& submission : submissions) receipts.push_back(engine::submit(change, submission));
        return receipts;
      },
      {"submit.before_commit", "submit.committed"});
}

void SqliteQueue::cancel(const std::string& id, const std::string& why) {
  change([&](Change& change) { engine::cancel(change, id, why); });
}

void SqliteQueue::retry(const std::string& id) {
  change([&](Change& change) { engine::retry(change, id); });
}

void SqliteQueue::pause(bool paused) {
  change([&](Change& change) { change.set_paused(paused); });
}

std::vector<Claim> SqliteQueue::claim(const ClaimTerms& terms) {
  {
    open_.require_own_process();
    const std::lock_guard lock(write_mutex_);
    require_read_through();
  }
  if (terms.most <= 0 || !has_work(terms)) return {};
  return change([&](Change& change) { return engine::claim(change, terms); },
                {"claim.before_commit", "claim.committed"});
}

std::vector<HeartbeatAnswer> SqliteQueue::heartbeat(const std::vector<Heartbeat>& beats) {
  if (beats.empty()) return {};
  return change([&](Change& change) { return engine::heartbeat(change, beats); });
}

std::vector<bool> SqliteQueue::finish(const std::vector<Outcome>& outcomes) {
  if (outcomes.empty()) return {};
  return change([&](Change& change) { return engine::finish(change, outcomes); },
                {"finish.before_commit", "finish.committed"});
}

double SqliteQueue::tend() {
  if (has_due()) change([](Change& change) { engine::tend(change); });
  return next_due_s();
}

void SqliteQueue::published(const std::vector<PublishOutcome>& publications) {
  if (publications.empty()) return;
  change(
      [&](Change& change) {
        for (const PublishOutcome& each : publications) engine::published(change, each.job, each.failure);
      },
      {"published.before_commit", "published.committed"});
}

void SqliteQueue::change_settings(const QueueSettings& settings) {
  require_valid(settings);
  change([&](Change& change) { change.connection().change("UPDATE queue SET settings = ?", written(settings)); });
}

std::filesystem::path SqliteQueue::results() const { return file_.parent_path() / "results"; }

std::unique_ptr<Queue> open_queue(const std::string& url, const Clock& clock) {
  const std::filesystem::path file = file_of_url(url);
  require_restored(file);
  if (!std::filesystem::exists(file)) make_store(file);
  require_local(file.parent_path());
  return std::make_unique<SqliteQueue>(file, clock);
}

}  // namespace kiban::engine
