#include "kernels/core/team.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <numeric>
#include <stdexcept>

namespace kiban {
namespace {

/// Plain integers: a member that left a meeting too early reads an old one, and ThreadSanitizer sees it.
TEST(TeamTest, AfterAMeetingAllSeeWhatAllWroteBefore) {
  for (const int size : {1, 2, 5}) {
    Team team(size);
    std::vector<int> written(static_cast<std::size_t>(size));
    std::vector<int> wrong(written.size());
    team.run([&](int member) {
      const auto self = static_cast<std::size_t>(member);
      for (int step = 1; step <= 2000; ++step) {
        written[self] = step;
        team.meet();
        wrong[self] += std::accumulate(written.begin(), written.end(), 0) != step * size;
        team.meet();
      }
    });
    EXPECT_EQ(wrong, std::vector<int>(written.size()));
  }
}

TEST(TeamTest, WhoeverWaitsForLongIsWoken) {
  Team team(3);
  int seen = 0;
  team.run([&](int member) {
    if (member == 1) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      seen = 7;
    }
    team.meet();
    EXPECT_EQ(seen, 7);
  });
}

TEST(TeamTest, AFailureIsPassedOnAndNobodyWaitsForEver) {
  for (const int failing : {0, 2})
    for (const bool others_sleep : {false, true}) {
      Team team(3);
      const auto body = [&](int member) {
        for (int step = 0; step < 100; ++step) {
          if (member == failing && step == 50) {
            if (others_sleep) std::this_thread::sleep_for(std::chrono::milliseconds(20));
            throw std::runtime_error("member");
          }
          team.meet();
        }
      };
      EXPECT_THROW(team.run(body), std::runtime_error);
    }
}

}  // namespace
}  // namespace kiban
