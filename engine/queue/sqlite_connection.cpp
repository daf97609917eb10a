#include "engine/queue/sqlite_connection.hpp"

#include <fmt/format.h>
#include <sqlite3.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <system_error>
#include <utility>

#include "engine/queue/sqlite_sealed_pages.hpp"

namespace kiban::engine {
namespace {

constexpr int kBusySeconds = 60;

// A writer holds the store for about as long as one flush takes. Whoever waits asks again often enough to be next soon.
int wait_for_others(void* begun_at, int times) {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  auto& began = *static_cast<std::int64_t*>(begun_at);
  if (times == 0) began = now.tv_sec;
  if (now.tv_sec - began > kBusySeconds) return 0;
  const timespec pause{0, std::min(times + 1, 20) * 100'000L};
  nanosleep(&pause, nullptr);
  return 1;
}

// Names of files for a URI of SQLite's.
std::string escaped(const std::string& path) {
  std::string text;
  for (const char c : path) {
    if (c == '%' || c == '?' || c == '#')
      text += fmt::format("%{:02x}", static_cast<int>(c));
    else
      text += c;
  }
  return text;
}

}  // namespace

DamagedQueue damaged(const std::filesystem::path& file, const std::string& how) {
  return DamagedQueue(
      fmt::format("{}: the queue is damaged ({}); leave the file as it is and put a backup in its "
                  "place with: kiban restore BACKUP",
                  file.string(), how));
}

Rows::~Rows() {
  if (!statement_) return;
  if (!kept_) {
    sqlite3_finalize(statement_);
    return;
  }
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

bool Rows::next() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) connection_->fail(code);
  return false;
}

bool Rows::is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
std::int64_t Rows::integer(int column) const { return sqlite3_column_int64(statement_, column); }
double Rows::real(int column) const { return sqlite3_column_double(statement_, column); }
std::string Rows::text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  return text ? std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))) : std::string();
}

void Verdict::condemn(const std::string& how) {
  const std::lock_guard lock(mutex_);
  if (!condemned_) how_ = how;
  condemned_ = true;
}

std::string Verdict::how() const {
  const std::lock_guard lock(mutex_);
  return how_;
}

Connection::Connection(const std::filesystem::path& file, Mode mode, std::shared_ptr<Verdict> verdict)
    : file_(file), verdict_(std::move(verdict)) {
  const int flags = SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE |
                    (mode == Mode::immutable ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) |
                    (mode == Mode::make ? SQLITE_OPEN_CREATE : 0);
  const std::string uri = "file:" + escaped(file.string()) + (mode == Mode::immutable ? "?immutable=1" : "");
  if (const int code = sqlite3_open_v2(uri.c_str(), &handle_, flags, sealed_pages()); code != SQLITE_OK) {
    const int failure = handle_ ? sqlite3_extended_errcode(handle_) : code;
    sqlite3_close_v2(std::exchange(handle_, nullptr));
    fail(failure);
  }
  sqlite3_extended_result_codes(handle_, 1);
  sqlite3_busy_handler(handle_, wait_for_others, &waiting_since_s_);
}

Connection::~Connection() {
  if (!handle_) return;
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  if (verdict_->is_condemned()) sqlite3_db_config(handle_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_close_v2(handle_);
}

void Connection::abandon() {
  statements_.clear();
  handle_ = nullptr;
}

void Connection::require_sound() const {
  if (verdict_->is_condemned()) throw damaged(file_, verdict_->how());
}

void Connection::fail(int code) {
  const int failure = handle_ ? sqlite3_system_errno(handle_) : errno;
  const std::string file = file_.string(), folder = file_.parent_path().string();
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      condemn(handle_ ? sqlite3_errmsg(handle_) : sqlite3_errstr(code));
      require_sound();
      break;
    case SQLITE_FULL:
      throw Error(ErrorCode::input, fmt::format("{}: the disk is full, nothing was changed; free space in {}, then try "
                                                "again",
                                                file, folder));
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      throw Error(ErrorCode::input,
                  fmt::format("{}: cannot be written, nothing was changed; give this user the right to "
                              "write it and its folder, or mount the disk for writing",
                              file));
    case SQLITE_IOERR:
      if (code == SQLITE_IOERR_DATA) {
        condemn("a page is not what was written");
        require_sound();
      }
      if (failure == EFBIG || failure == ENOSPC || failure == EDQUOT)
        throw Error(ErrorCode::input,
                    fmt::format("{}: no more may be written ({}), nothing was changed; make room, then "
                                "try again",
                                file, std::generic_category().message(failure)));
      throw Error(ErrorCode::input,
                  fmt::format("{}: the disk cannot be read or written ({}), nothing was changed; check the disk", file,
                              failure ? std::generic_category().message(failure) : sqlite3_errstr(code)));
    case SQLITE_CANTOPEN:
      throw Error(ErrorCode::input,
                  fmt::format("{}: cannot be opened ({}); check that it exists and who may read it", file,
                              failure ? std::generic_category().message(failure) : "not a file that can be read"));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      throw Error(ErrorCode::input, fmt::format("{}: another process has held the queue for {} s, nothing was changed; "
                                                "find out which, then try again",
                                                file, kBusySeconds));
    case SQLITE_NOMEM:
      throw std::bad_alloc();
    default:
      break;
  }
  throw Error(ErrorCode::internal, fmt::format("{}: SQLite reports: {}; this is a fault of Kiban's, please tell", file,
                                               handle_ ? sqlite3_errmsg(handle_) : sqlite3_errstr(code)));
}

sqlite3_stmt* Connection::prepare(std::string_view sql) {
  require_sound();
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                                      &statement, nullptr);
  if (code != SQLITE_OK) fail(code);
  return statement;
}

sqlite3_stmt* Connection::prepared(std::string_view sql) {
  require_sound();
  sqlite3_stmt*& statement = statements_[std::string(sql)];
  if (!statement) statement = prepare(sql);
  return statement;
}

std::int64_t Connection::changed_rows() const { return sqlite3_changes64(handle_); }

void Connection::run(const char* script) {
  require_sound();
  if (const int code = sqlite3_exec(handle_, script, nullptr, nullptr, nullptr); code != SQLITE_OK) fail(code);
}

void Connection::bind(sqlite3_stmt* statement, int position, std::int64_t value) {
  if (const int code = sqlite3_bind_int64(statement, position, value); code != SQLITE_OK) fail(code);
}

void Connection::bind(sqlite3_stmt* statement, int position, double value) {
  if (const int code = sqlite3_bind_double(statement, position, value); code != SQLITE_OK) fail(code);
}

void Connection::bind(sqlite3_stmt* statement, int position, const std::string& value) {
  const int code = sqlite3_bind_text64(statement, position, value.data(), value.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  if (code != SQLITE_OK) fail(code);
}

void Connection::bind(sqlite3_stmt* statement, int position, std::nullopt_t) {
  if (const int code = sqlite3_bind_null(statement, position); code != SQLITE_OK) fail(code);
}

Transaction::Transaction(Connection& connection) : connection_(connection) { connection_.change("BEGIN IMMEDIATE"); }

Transaction::~Transaction() {
  // After a full disk SQLite has rolled back already.
  if (open_ && !sqlite3_get_autocommit(connection_.handle()))
    sqlite3_exec(connection_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
}

Snapshot::~Snapshot() {
  if (!sqlite3_get_autocommit(connection_.handle()))
    sqlite3_exec(connection_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
}

void Transaction::commit() {
  connection_.change("COMMIT");
  open_ = false;
}

}  // namespace kiban::engine
