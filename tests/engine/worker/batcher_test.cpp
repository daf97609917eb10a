#include "engine/worker/batcher.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace kiban::engine {
namespace {

using Tokens = std::vector<std::string>;

BatchLimits limits() { return {.most_jobs = 3, .max_delay_s = 1, .most_seconds = 1e9}; }

Batchable job(const std::string& token, const std::string& key, std::int64_t arrived_us = 0,
              Priority priority = Priority::routine) {
  Batchable made;
  made.token = token;
  made.batch_key = key;
  made.priority = priority;
  made.arrived_us = arrived_us;
  return made;
}

TEST(Batcher, GoesWhenFullByCount) {
  Batcher batcher(limits());
  for (const char* token : {"a", "b"}) batcher.add(job(token, "k"));
  EXPECT_EQ(batcher.next(0, false), Tokens{});
  for (const char* token : {"c", "d"}) batcher.add(job(token, "k"));
  EXPECT_EQ(batcher.next(0, false), (Tokens{"a", "b", "c"}));
  EXPECT_EQ(batcher.next(0, false), Tokens{});
  EXPECT_EQ(batcher.size(), 1U);
}

TEST(Batcher, GoesWhenOneMoreWouldBeTooMuchMemoryOrTime) {
  for (int kind = 0; kind < 3; ++kind) {
    BatchLimits bounded = limits();
    bounded.most_jobs = 100;
    bounded.host_bytes = bounded.device_bytes = 100;
    bounded.most_seconds = 100;
    Batcher batcher(bounded);
    const auto add = [&](const char* token, int amount) {
      Batchable made = job(token, "k");
      (kind == 0 ? made.host_bytes : made.device_bytes) = kind == 2 ? 0 : static_cast<std::size_t>(amount);
      if (kind == 2) made.expected_s = amount;
      batcher.add(made);
    };
    add("a", 40);
    EXPECT_EQ(batcher.next(0, false), Tokens{}) << "another would fit";
    add("b", 40);
    EXPECT_EQ(batcher.next(0, false), (Tokens{"a", "b"})) << "a third would not";
    add("c", 90);
    add("d", 20);
    EXPECT_EQ(batcher.next(0, false), Tokens{"c"});
    EXPECT_EQ(batcher.next(0, false), Tokens{});
    add("e", 300);
    EXPECT_EQ(batcher.next(0, true), Tokens{"d"});
    EXPECT_EQ(batcher.next(0, false), Tokens{"e"}) << "above the limit alone";
  }
}

TEST(Batcher, UnknownTimesAndNoLimitsFillNothing) {
  BatchLimits free = limits();
  free.most_jobs = 1000;
  Batcher batcher(free);
  for (int i = 0; i < 999; ++i) {
    Batchable made = job(std::to_string(i), "k");
    made.host_bytes = made.device_bytes = std::size_t{1} << 40;
    batcher.add(made);
  }
  EXPECT_EQ(batcher.next(0, false), Tokens{});
  EXPECT_EQ(batcher.next(0, true).size(), 999U);
}

TEST(Batcher, TheOldestWaitsNoLongerThanTheDelay) {
  Batcher batcher(limits());
  EXPECT_EQ(batcher.next_due_us(), std::nullopt);
  batcher.add(job("a", "k", 5));
  batcher.add(job("b", "k", 900'000));
  batcher.add(job("c", "l", 10));
  EXPECT_EQ(batcher.next_due_us(), 1'000'005);
  EXPECT_EQ(batcher.next(1'000'004, false), Tokens{});
  EXPECT_EQ(batcher.next(1'000'005, false), (Tokens{"a", "b"}));
  EXPECT_EQ(batcher.next_due_us(), 1'000'010);
  EXPECT_EQ(batcher.next(1'000'010, false), Tokens{"c"});
  EXPECT_EQ(batcher.next_due_us(), std::nullopt);
}

TEST(Batcher, FlushWaitsForNobody) {
  Batcher batcher(limits());
  batcher.add(job("a", "k"));
  batcher.add(job("b", "l", 1));
  EXPECT_EQ(batcher.next(2, true), Tokens{"a"});
  EXPECT_EQ(batcher.next(2, true), Tokens{"b"});
  EXPECT_EQ(batcher.next(2, true), Tokens{});
}

TEST(Batcher, StatGoesAtOnceWithWhoIsThere) {
  Batcher batcher(limits());
  batcher.add(job("s", "k", 0, Priority::stat));
  EXPECT_EQ(batcher.next(0, false), Tokens{"s"});
  batcher.add(job("a", "k"));
  batcher.add(job("b", "l"));
  batcher.add(job("t", "k", 0, Priority::stat));
  EXPECT_EQ(batcher.next(0, false), (Tokens{"a", "t"})) << "of its key, not of another";
  EXPECT_EQ(batcher.next(0, false), Tokens{});
}

TEST(Batcher, StatOvertakesWhatIsFull) {
  Batcher batcher(limits());
  for (const char* token : {"a", "b", "c", "d"}) batcher.add(job(token, "k"));
  batcher.add(job("s", "k", 9, Priority::stat));
  batcher.add(job("t", "l", 8, Priority::stat));
  EXPECT_EQ(batcher.next(9, false), (Tokens{"a", "b", "s"})) << "it is in the batch though four came before it";
  EXPECT_EQ(batcher.next(9, false), Tokens{"t"});
  EXPECT_EQ(batcher.next(9, true), (Tokens{"c", "d"}));
}

TEST(Batcher, TheMostUrgentBatchGoesFirstThenTheOldest) {
  Batcher batcher(limits());
  batcher.add(job("r1", "k1", 3));
  batcher.add(job("r2", "k2", 2));
  batcher.add(job("u", "k3", 4, Priority::urgent));
  batcher.add(job("x", "k4", 0, Priority::research));
  Tokens order;
  while (batcher.size() > 0)
    for (const std::string& token : batcher.next(10, true)) order.push_back(token);
  EXPECT_EQ(order, (Tokens{"u", "r2", "r1", "x"}));
}

TEST(Batcher, JobsWithoutAKeyAndOfOtherKeysNeverMeet) {
  Batcher batcher(limits());
  batcher.add(job("a", ""));
  batcher.add(job("b", ""));
  batcher.add(job("c", "op 1 k"));
  batcher.add(job("d", "op 2 k"));
  EXPECT_EQ(batcher.next(0, false), Tokens{"a"}) << "nothing to wait for";
  EXPECT_EQ(batcher.next(0, false), Tokens{"b"});
  EXPECT_EQ(batcher.next(0, false), Tokens{});
  EXPECT_EQ(batcher.next(0, true), Tokens{"c"});
  EXPECT_EQ(batcher.next(0, true), Tokens{"d"});
}

TEST(Batcher, RemovesAndForgets) {
  Batcher batcher(limits());
  batcher.add(job("a", "k"));
  batcher.add(job("b", "k"));
  EXPECT_TRUE(batcher.remove("a"));
  EXPECT_FALSE(batcher.remove("a"));
  EXPECT_EQ(batcher.next(0, true), Tokens{"b"});
  EXPECT_FALSE(batcher.remove("b"));
}

TEST(Batcher, AnEndlessDelayIsNeverDue) {
  BatchLimits patient = limits();
  patient.max_delay_s = std::numeric_limits<double>::infinity();
  Batcher batcher(patient);
  batcher.add(job("a", "k"));
  EXPECT_EQ(batcher.next_due_us(), std::nullopt);
  EXPECT_EQ(batcher.next(std::int64_t{1} << 62, false), Tokens{});
  EXPECT_EQ(batcher.next(0, true), Tokens{"a"});
}

/// The rules again, in the most plodding way: every job asks who of its key would go with it.
class Plodding {
 public:
  explicit Plodding(const BatchLimits& limits) : limits_(limits) {}
  void add(const Batchable& added) { jobs_.push_back(added); }
  void remove(const std::string& token) {
    std::erase_if(jobs_, [&](const Batchable& one) { return one.token == token; });
  }

  Tokens next(std::int64_t now_us, bool flush) {
    std::vector<std::size_t> best;
    for (std::size_t i = 0; i < jobs_.size(); ++i) {
      const std::vector<std::size_t> peers = peers_of(i), batch = batch_of(peers);
      if (!ready(peers, batch, now_us, flush)) continue;
      if (best.empty() || rank(batch) < rank(best)) best = batch;
    }
    std::ranges::sort(best);
    Tokens tokens;
    for (const std::size_t index : best) tokens.push_back(jobs_[index].token);
    for (const std::string& token : tokens) remove(token);
    return tokens;
  }

 private:
  std::vector<std::size_t> peers_of(std::size_t one) const {
    std::vector<std::size_t> peers;
    for (std::size_t i = 0; i < jobs_.size(); ++i)
      if (i == one || (!jobs_[one].batch_key.empty() && jobs_[i].batch_key == jobs_[one].batch_key)) peers.push_back(i);
    return peers;
  }
  bool over(const std::vector<std::size_t>& batch) const {
    std::size_t host = 0, device = 0;
    double seconds = 0;
    for (const std::size_t i : batch) {
      host += jobs_[i].host_bytes;
      device += jobs_[i].device_bytes;
      seconds += jobs_[i].expected_s;
    }
    return static_cast<int>(batch.size()) > limits_.most_jobs || host > limits_.host_bytes ||
           device > limits_.device_bytes || seconds > limits_.most_seconds;
  }
  std::vector<std::size_t> batch_of(const std::vector<std::size_t>& peers) const {
    std::vector<std::size_t> batch;
    for (int priority = 0; priority < kPriorities; ++priority)
      for (const std::size_t i : peers) {
        if (static_cast<int>(jobs_[i].priority) != priority) continue;
        batch.push_back(i);
        if (batch.size() > 1 && over(batch)) {
          batch.pop_back();
          return batch;
        }
      }
    return batch;
  }
  bool ready(const std::vector<std::size_t>& peers, std::vector<std::size_t> batch, std::int64_t now_us,
             bool flush) const {
    for (const std::size_t i : batch)
      if (jobs_[i].priority == Priority::stat || jobs_[i].batch_key.empty()) return true;
    for (const std::size_t i : peers)
      if (static_cast<double>(now_us - jobs_[i].arrived_us) >= limits_.max_delay_s * 1e6) return true;
    const bool some_stay = batch.size() < peers.size();
    batch.push_back(batch.back());
    return flush || some_stay || over(batch);
  }
  std::pair<int, std::int64_t> rank(const std::vector<std::size_t>& batch) const {
    std::pair<int, std::int64_t> rank{kPriorities, std::numeric_limits<std::int64_t>::max()};
    for (const std::size_t i : batch) {
      rank.first = std::min(rank.first, static_cast<int>(jobs_[i].priority));
      rank.second = std::min(rank.second, jobs_[i].arrived_us);
    }
    return rank;
  }

  BatchLimits limits_;
  std::vector<Batchable> jobs_;
};

TEST(Batcher, DoesAsTheRulesSayWhateverComes) {
  std::mt19937 random(4);
  const auto pick = [&](int most) { return std::uniform_int_distribution<int>(0, most)(random); };
  int batches = 0, shared = 0;
  for (int round = 0; round < 300; ++round) {
    BatchLimits bounded{.most_jobs = 1 + pick(4), .max_delay_s = pick(3) * 1e-5, .most_seconds = 4.0 + pick(8)};
    bounded.host_bytes = static_cast<std::size_t>(4 + pick(8));
    bounded.device_bytes = static_cast<std::size_t>(4 + pick(8));
    Batcher batcher(bounded);
    Plodding plodding(bounded);
    std::int64_t now_us = 0;
    std::size_t inside = 0;
    for (int step = 0; step < 100; ++step) {
      now_us += pick(6);
      const int action = pick(9);
      if (action < 5) {
        Batchable made = job(std::to_string(step), pick(5) == 0 ? "" : std::to_string(pick(2)), now_us - pick(2),
                             pick(9) == 0 ? Priority::stat : static_cast<Priority>(1 + pick(2)));
        made.host_bytes = static_cast<std::size_t>(pick(4));
        made.device_bytes = static_cast<std::size_t>(pick(4));
        made.expected_s = pick(3);
        batcher.add(made);
        plodding.add(made);
        ++inside;
      } else if (action == 5) {
        const std::string token = std::to_string(pick(step));
        inside -= batcher.remove(token) ? 1 : 0;
        plodding.remove(token);
      } else {
        const bool flush = pick(9) == 0;
        const std::optional<std::int64_t> due = batcher.next_due_us();
        const Tokens batch = batcher.next(now_us, flush);
        ASSERT_EQ(batch, plodding.next(now_us, flush)) << "round " << round << " step " << step;
        if (batch.empty() && inside > 0) {
          ASSERT_TRUE(due) << "what waits must fall due";
          ASSERT_GT(*due, now_us);
        }
        inside -= batch.size();
        batches += batch.empty() ? 0 : 1;
        shared += batch.size() > 1 ? 1 : 0;
      }
      ASSERT_EQ(batcher.size(), inside);
    }
    while (batcher.size() > 0) ASSERT_EQ(batcher.next(now_us, true), plodding.next(now_us, true));
  }
  EXPECT_GT(batches, 1000);
  EXPECT_GT(shared, 300);
}

}  // namespace
}  // namespace kiban::engine
