#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <random>

#include "engine/queue/sqlite_location.hpp"
#include "tests/engine/queue/sqlite_stand.hpp"
#include "tests/support/process.hpp"

/// Damage, full disks, rights, places where no queue may be.
namespace kiban::engine::test {
namespace {

namespace fs = std::filesystem;
using kiban::test::read_text;

void write_text(const fs::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
}

std::string error_of(const std::function<void()>& action, ErrorCode code) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.what();
  }
  return "";
}

/// A queue with some of everything in it.
std::vector<std::string> fill(Queue& queue, int jobs) {
  std::vector<std::string> ids;
  for (int i = 0; i < jobs; ++i) {
    Submission submission = writing("/out/" + std::to_string(i), i % 2 ? "alice" : "bob");
    submission.parameters = {{"filler", std::string(200, static_cast<char>('a' + i % 26))}};
    submission.key = std::to_string(i);
    ids.push_back(queue.submit({submission}).at(0).id);
    if (i % 3 == 0) submission = after({ids.back()}), ids.push_back(queue.submit({submission}).at(0).id);
    if (i % 4 == 0) queue.finish({outcome(queue.claim({"w", 1, {}}).at(0).lease, Outcome::Kind::succeeded)});
  }
  return ids;
}

/// Opening and using it is refused as damage, and neither file is changed by that.
void expect_refused_untouched(const SqliteStand& stand, const std::string& what) {
  const std::string journal = stand.file().string() + "-wal";
  const std::string before = read_text(stand.file()), journal_before = read_text(journal);
  const std::string message = error_of([&] { stand.open()->list({}); }, ErrorCode::input);
  EXPECT_NE(message.find("kiban restore"), std::string::npos) << what << ": " << message;
  EXPECT_TRUE(before == read_text(stand.file())) << what;
  EXPECT_TRUE(journal_before == read_text(journal)) << what;
}

TEST(SqliteTrouble, AFlippedByteAnywhereIsNoticedAndTheFileLeftAsItIs) {
  SqliteStand stand;
  fill(*stand.open(), 60);
  const std::string sound = read_text(stand.file());
  ASSERT_GT(sound.size(), 100'000U);
  std::mt19937 random(7);
  std::vector<std::size_t> offsets{0, 16, 18, 20, 24, 28, 60, 63, 68, 96, 99, 100, 4095, sound.size() - 1};
  for (int i = 0; i < 150; ++i) offsets.push_back(random() % sound.size());
  for (const std::size_t offset : offsets) {
    std::string damaged = sound;
    damaged[offset] = static_cast<char>(damaged[offset] ^ (1 << random() % 8));
    write_text(stand.file(), damaged);
    if (offset >= 60 && offset < 64) {  // a version that is to come is no damage
      EXPECT_NE(error_of([&] { stand.open()->list({}); }, ErrorCode::input), "");
      continue;
    }
    expect_refused_untouched(stand, "byte " + std::to_string(offset));
    ASSERT_FALSE(testing::Test::HasFailure());
  }
  write_text(stand.file(), sound);
  EXPECT_EQ(stand.open()->list({.most = 1000}).size(), 80U);
}

TEST(SqliteTrouble, PagesThatSwappedPlacesOrAreOfYesterdayAreNoticed) {
  SqliteStand stand;
  fill(*stand.open(), 60);
  const std::string sound = read_text(stand.file());
  std::string swapped = sound;
  std::swap_ranges(swapped.begin() + 5 * 4096, swapped.begin() + 6 * 4096, swapped.begin() + 9 * 4096);
  write_text(stand.file(), swapped);
  expect_refused_untouched(stand, "swapped");
  std::string zeros = sound;
  std::fill_n(zeros.begin() + 4 * 4096, 4096, '\0');
  write_text(stand.file(), zeros);
  expect_refused_untouched(stand, "zeros");
}

TEST(SqliteTrouble, ATruncatedFileIsNoticed) {
  SqliteStand stand;
  fill(*stand.open(), 30);
  const std::string sound = read_text(stand.file());
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{99}, std::size_t{100}, std::size_t{4096},
                                 sound.size() / 2, sound.size() / 8192 * 4096, sound.size() - 4096, sound.size() - 1}) {
    write_text(stand.file(), sound.substr(0, size));
    expect_refused_untouched(stand, std::to_string(size) + " bytes");
  }
  write_text(stand.file(), "SQLite, but not quite" + std::string(9000, 'x'));
  expect_refused_untouched(stand, "text");
}

TEST(SqliteTrouble, DamageInTheJournalLosesNothingUnnoticed) {
  SqliteStand live, copy;
  const std::unique_ptr<Queue> queue = live.open();
  fill(*queue, 20);
  const std::string file = read_text(live.file()), journal = read_text(live.file().string() + "-wal");
  const std::string to = copy.file().string() + "-wal";
  const auto place = [&](const std::string& bytes) {
    fs::remove(copy.file().string() + "-shm");
    write_text(copy.file(), file);
    write_text(to, bytes);
  };
  place(journal);  // as after a crash
  const std::size_t jobs = queue->list({.most = 1000}).size();
  EXPECT_EQ(copy.open()->list({.most = 1000}).size(), jobs);
  std::mt19937 random(3);
  for (int i = 0; i < 100; ++i) {
    // The last transactions cannot be told from one that was torn: no more than the last is left out.
    const std::size_t offset = i < 20 ? static_cast<std::size_t>(i * 2) : random() % (journal.size() * 3 / 4);
    std::string damaged = journal;
    damaged[offset] = static_cast<char>(damaged[offset] ^ (1 << random() % 8));
    place(damaged);
    expect_refused_untouched(copy, "journal, byte " + std::to_string(offset));
    ASSERT_FALSE(testing::Test::HasFailure());
  }
  for (std::size_t size = 0; size < journal.size(); size += journal.size() / 7 + 13) {  // torn by a loss of power
    place(journal.substr(0, size));
    EXPECT_LE(copy.open()->list({.most = 1000}).size(), jobs);
  }
}

TEST(SqliteTrouble, DamageThatHappensWhileItIsOpenStopsEverything) {
  SqliteStand stand;
  const std::string id = fill(*stand.open(), 60).front();
  const std::unique_ptr<Queue> queue = stand.open();
  {
    std::fstream file(stand.file(), std::ios::binary | std::ios::in | std::ios::out);
    const std::string bytes = read_text(stand.file());
    for (std::size_t page = 4096; page < bytes.size(); page += 4096) {
      file.seekp(static_cast<std::streamoff>(page + 2000));
      file.put(static_cast<char>(bytes[page + 2000] ^ 1));
    }
  }
  const std::string before = read_text(stand.file());
  // The connection that reads has not seen these pages yet; once it has, the one that writes stops, too.
  EXPECT_NE(error_of([&] { queue->find(id); }, ErrorCode::input).find("kiban restore"), std::string::npos);
  EXPECT_NE(error_of([&] { queue->submit({request()}); }, ErrorCode::input).find("kiban restore"), std::string::npos);
  EXPECT_TRUE(before == read_text(stand.file()));
}

TEST(SqliteTrouble, AFullDiskChangesNothingAndPasses) {
  SqliteStand stand;
  const std::unique_ptr<Queue> queue = stand.open();
  const auto acknowledged = fill(*queue, 10).size();
  signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit tight = before;
  tight.rlim_cur = fs::file_size(stand.file().string() + "-wal") + 20'000;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &tight), 0);
  std::size_t taken = 0;
  std::string message;
  while (message.empty() && taken < 1000) {
    message = error_of([&] { queue->submit({request(), request()}); }, ErrorCode::input);
    if (message.empty()) taken += 2;
  }
  EXPECT_NE(message.find("nothing was changed"), std::string::npos) << message;
  EXPECT_EQ(queue->list({.most = 10000}).size(), acknowledged + taken);
  EXPECT_NE(error_of([&] { queue->claim({"w", 16, {}}); }, ErrorCode::input), "");
  EXPECT_EQ(queue->counts().classes[2].running, 0);
  setrlimit(RLIMIT_FSIZE, &before);
  queue->submit({request()});
  EXPECT_EQ(queue->list({.most = 10000}).size(), acknowledged + taken + 1);
  EXPECT_EQ(stand.open()->list({.most = 10000}).size(), acknowledged + taken + 1);
  EXPECT_EQ(queue->claim({"w", 3, {}}).size(), 3U);
}

TEST(SqliteTrouble, AReadOnlyQueueCanBeLookedAtAndSaysSo) {
  SqliteStand stand;
  fill(*stand.open(), 3);
  const std::string before = read_text(stand.file());
  fs::permissions(stand.file(), fs::perms(0444));
  fs::permissions(stand.folder(), fs::perms(0555));
  const bool is_root = geteuid() == 0;
  ASSERT_TRUE(!is_root || seteuid(65534) == 0);
  const std::string message = error_of([&] { stand.open()->submit({request()}); }, ErrorCode::input);
  const std::string none =
      error_of([&] { open_queue("sqlite://" + (stand.folder() / "new/q.sqlite").string()); }, ErrorCode::input);
  ASSERT_TRUE(!is_root || seteuid(0) == 0);
  fs::permissions(stand.folder(), fs::perms(0700));
  fs::permissions(stand.file(), fs::perms(0600));
  EXPECT_NE(message, "");
  EXPECT_NE(none.find("no queue can be made"), std::string::npos) << none;
  EXPECT_TRUE(before == read_text(stand.file()));
  stand.open()->submit({request()});
}

TEST(SqliteTrouble, ANewQueueIsItsOwnersAlone) {
  SqliteStand stand;
  const fs::path file = stand.folder() / "a/b/queue.sqlite";
  open_queue("sqlite://" + file.string());
  struct stat found {};
  ASSERT_EQ(stat((stand.folder() / "a").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777U, 0700U);
  ASSERT_EQ(stat(file.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0077U, 0U);
  EXPECT_EQ(std::distance(fs::directory_iterator(file.parent_path()), fs::directory_iterator()), 1);
}

TEST(SqliteTrouble, ALostFileWhoseJournalIsLeftIsNotReplacedByAnEmptyQueue) {
  SqliteStand stand;
  write_text(stand.file().string() + "-wal", std::string(5000, 'j'));
  EXPECT_NE(error_of([&] { stand.open(); }, ErrorCode::input).find("kiban restore"), std::string::npos);
  EXPECT_FALSE(fs::exists(stand.file()));
}

TEST(SqliteTrouble, ALaterVersionIsRefused) {
  SqliteStand stand;
  stand.open();
  std::string bytes = read_text(stand.file());
  bytes[63] = 99;
  write_text(stand.file(), bytes);
  EXPECT_NE(error_of([&] { stand.open(); }, ErrorCode::input).find("later Kiban"), std::string::npos);
}

TEST(SqliteTrouble, NetworkFileSystemsAreKnown) {
  for (const std::int64_t magic :
       {0x6969L, 0x517BL, 0xFF534D42L, 0xFE534D42L, 0x01021997L, 0x00C36400L, 0x0BD00BD0L, 0x47504653L, 0x5346414FL,
        0x65735546L, std::int64_t{static_cast<std::int32_t>(0xFF534D42)}})
    EXPECT_NE(network_file_system(magic), "") << std::hex << magic;
  for (const std::int64_t magic : {0xEF53L, 0x58465342L, 0x9123683EL, 0x01021994L, 0x794C7630L, 0x2FC12FC1L})
    EXPECT_EQ(network_file_system(magic), "") << std::hex << magic;  // ext4, XFS, Btrfs, tmpfs, overlay, ZFS
  require_local(fs::temp_directory_path());
}

TEST(SqliteTrouble, OnlyUrlsOfQueuesAreTaken) {
  setenv("KIBAN_QUEUE", "sqlite:///from/the/environment.sqlite", 1);
  EXPECT_EQ(file_of_url(""), "/from/the/environment.sqlite");
  EXPECT_EQ(file_of_url("sqlite:///a//b/../c.sqlite"), "/a/c.sqlite");
  unsetenv("KIBAN_QUEUE");
  const char* home = getenv("HOME");
  const std::string kept = home ? home : "";
  setenv("HOME", "/home/somebody", 1);
  EXPECT_EQ(file_of_url(""), "/home/somebody/.local/share/kiban/queue.sqlite");
  setenv("HOME", kept.c_str(), 1);
  for (const char* url : {"queue.sqlite", "/a/queue.sqlite", "sqlite://relative", "sqlite:///", "sqlite:///folder/",
                          "postgresql://host/db", "file:///a"})
    EXPECT_NE(error_of([&] { file_of_url(url); }, ErrorCode::usage), "") << url;
}

}  // namespace
}  // namespace kiban::engine::test
