// Statements on their way to SQLite. Of a queue that does not compare the token of a lease they are rewritten; and a
// script of the harness is run in kiban's own connection, for only kiban can seal the pages of its store.
#include <dlfcn.h>

#include <cstdlib>
#include <cstring>
#include <regex>
#include <string>
#include <utility>

#include "tests/faults/shim/control.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace kiban::faults {
namespace {

bool ignores_tokens() {
  static const bool ignores = [] {
    const char* const value = std::getenv("KIBAN_FAULT_TOKEN");
    return value && std::strcmp(value, "ignored") == 0;
  }();
  return ignores;
}

/// What a statement compares with `token`, it only looks at: the parameter stays, lest another changes its number.
std::string without_token(const std::string& statement) {
  static const std::regex comparison(R"(\b(\w+\.)?(lease_)?token\s*(=|IS)\s*([?:@]\w*))", std::regex::icase);
  const std::size_t where = statement.find("WHERE");
  if (where == std::string::npos) return statement;
  return statement.substr(0, where) + std::regex_replace(statement.substr(where), comparison, "($4 IS NOT NULL)");
}

/// SQLite's own, also where it was loaded by a library that keeps it to itself, as Python's module does.
void* own(const char* name) {
  void* const next = dlsym(RTLD_NEXT, name);
  return next ? next : dlsym(dlopen("libsqlite3.so.0", RTLD_LAZY | RTLD_NOLOAD), name);
}

void run_script(sqlite3* database) {
  static const char* script = std::getenv("KIBAN_FAULT_SCRIPT");
  if (!script) return;
  const char* const once = std::exchange(script, nullptr);
  using Execute = int (*)(sqlite3*, const char*, void*, void*, char**);
  if (reinterpret_cast<Execute>(own("sqlite3_exec"))(database, once, nullptr, nullptr, nullptr) != 0) std::abort();
}

template <class... Arguments>
int prepare(const char* name, sqlite3* database, const char* statement, int bytes, Arguments... rest) {
  using Function = int (*)(sqlite3*, const char*, int, Arguments...);
  const auto real = reinterpret_cast<Function>(own(name));
  run_script(database);
  if (!ignores_tokens()) return real(database, statement, bytes, rest...);
  const std::string given =
      bytes < 0 ? statement : std::string(statement, strnlen(statement, static_cast<std::size_t>(bytes)));
  const std::string changed = without_token(given);
  if (changed == given) return real(database, statement, bytes, rest...);
  // The tail points into what was given; none of these statements has another behind it.
  return real(database, (new std::string(changed))->c_str(), -1, rest...);
}

}  // namespace
}  // namespace kiban::faults

extern "C" int sqlite3_prepare_v2(sqlite3* database, const char* statement, int bytes, sqlite3_stmt** prepared,
                                  const char** tail) {
  return kiban::faults::prepare("sqlite3_prepare_v2", database, statement, bytes, prepared, tail);
}

extern "C" int sqlite3_prepare_v3(sqlite3* database, const char* statement, int bytes, unsigned flags,
                                  sqlite3_stmt** prepared, const char** tail) {
  return kiban::faults::prepare("sqlite3_prepare_v3", database, statement, bytes, flags, prepared, tail);
}
