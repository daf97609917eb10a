#pragma once
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "engine/queue/queue.hpp"
#include "kernels/core/error.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace kiban::engine {

/// What to say of a store that is not what was written.
DamagedQueue damaged(const std::filesystem::path& file, const std::string& how);

/// What was found wrong with a store, told to all who have it open here.
class Verdict {
 public:
  void condemn(const std::string& how);
  std::string how() const;
  bool is_condemned() const { return condemned_; }

 private:
  mutable std::mutex mutex_;
  std::string how_;
  std::atomic<bool> condemned_ = false;
};

class Connection;

/// The rows of one statement; reads nothing more once it is gone.
class Rows {
 public:
  ///   kept   the statement will be used again
  Rows(Connection& connection, sqlite3_stmt* statement, bool kept)
      : connection_(&connection), statement_(statement), kept_(kept) {}
  ~Rows();
  Rows(Rows&& other) noexcept
      : connection_(other.connection_), statement_(std::exchange(other.statement_, nullptr)), kept_(other.kept_) {}
  Rows& operator=(Rows&&) = delete;

  bool next();
  bool is_null(int column) const;
  std::int64_t integer(int column) const;
  double real(int column) const;
  std::string text(int column) const;

 private:
  friend class Connection;
  Connection* connection_;
  sqlite3_stmt* statement_;
  bool kept_;
};

/// One connection to an SQLite file: statements are prepared once, and each failure is one sentence. For one thread at
/// a time.
class Connection {
 public:
  enum class Mode {
    write,      ///< opens, does not make
    make,       ///< makes the file
    immutable,  ///< reads a file that nobody writes to, and leaves nothing beside it
  };
  Connection(const std::filesystem::path& file, Mode mode,
             std::shared_ptr<Verdict> verdict = std::make_shared<Verdict>());
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// The rows of a statement. Values may be integers, doubles, texts, or `std::optional` of these.
  template <class... Values>
  Rows query(std::string_view sql, const Values&... values) {
    return bound(Rows(*this, prepared(sql), true), values...);
  }
  /// The same for a statement that will hardly be used again.
  template <class... Values>
  Rows query_once(std::string_view sql, const Values&... values) {
    return bound(Rows(*this, prepare(sql), false), values...);
  }
  /// Runs a statement; how many rows it changed.
  template <class... Values>
  std::int64_t change(std::string_view sql, const Values&... values) {
    Rows rows = query(sql, values...);
    while (rows.next()) {
    }
    return changed_rows();
  }
  /// Several statements, without values.
  void run(const char* script);

  const std::filesystem::path& file() const { return file_; }
  sqlite3* handle() const { return handle_; }
  /// Throws what `code` of SQLite means here.
  [[noreturn]] void fail(int code);
  /// From here on every call fails with this sentence, and closing leaves the file as it is.
  void condemn(const std::string& how) { verdict_->condemn(how); }
  void require_sound() const;
  /// Lets go of what belongs to the process that this one was forked from.
  void abandon();

 private:
  sqlite3_stmt* prepare(std::string_view sql);
  sqlite3_stmt* prepared(std::string_view sql);
  template <class... Values>
  Rows bound(Rows rows, const Values&... values) {
    int position = 0;
    (bind(rows.statement_, ++position, values), ...);
    return rows;
  }
  std::int64_t changed_rows() const;
  void bind(sqlite3_stmt* statement, int position, std::int64_t value);
  void bind(sqlite3_stmt* statement, int position, int value) { bind(statement, position, std::int64_t{value}); }
  void bind(sqlite3_stmt* statement, int position, bool value) { bind(statement, position, std::int64_t{value}); }
  void bind(sqlite3_stmt* statement, int position, double value);
  void bind(sqlite3_stmt* statement, int position, const std::string& value);
  void bind(sqlite3_stmt* statement, int position, std::nullopt_t);
  template <class T>
  void bind(sqlite3_stmt* statement, int position, const std::optional<T>& value) {
    value ? bind(statement, position, *value) : bind(statement, position, std::nullopt);
  }

  std::filesystem::path file_;
  sqlite3* handle_ = nullptr;
  std::unordered_map<std::string, sqlite3_stmt*> statements_;
  std::shared_ptr<Verdict> verdict_;
  std::int64_t waiting_since_s_ = 0;
};

/// Begins at once, so that nobody can come in between; is rolled back unless it is committed.
class Transaction {
 public:
  explicit Transaction(Connection& connection);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Connection& connection_;
  bool open_ = true;
};

/// While it lives, the connection reads the queue as it was at one moment.
class Snapshot {
 public:
  explicit Snapshot(Connection& connection) : connection_(connection) { connection_.run("BEGIN"); }
  ~Snapshot();
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;

 private:
  Connection& connection_;
};

}  // namespace kiban::engine
