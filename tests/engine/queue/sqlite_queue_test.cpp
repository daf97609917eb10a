#include <filesystem>

#include "tests/engine/queue/queue_suite_attempts.hpp"
#include "tests/engine/queue/queue_suite_order.hpp"
#include "tests/engine/queue/queue_suite_property.hpp"
#include "tests/engine/queue/queue_suite_submit.hpp"
#include "tests/engine/queue/sqlite_stand.hpp"

namespace kiban::engine::test {

const auto kSqlite = testing::Values<MakeStand>([] { return std::make_unique<SqliteStand>(); });
const auto kName = [](const auto&) { return std::string("sqlite"); };

INSTANTIATE_TEST_SUITE_P(Sqlite, QueueSubmit, kSqlite, kName);
INSTANTIATE_TEST_SUITE_P(Sqlite, QueueAttempts, kSqlite, kName);
INSTANTIATE_TEST_SUITE_P(Sqlite, QueueOrder, kSqlite, kName);
INSTANTIATE_TEST_SUITE_P(Sqlite, QueueProperty, kSqlite, kName);

}  // namespace kiban::engine::test
