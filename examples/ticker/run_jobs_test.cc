#include "ticker/run_jobs.h"

#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/sim/sim.h"
#include "cohort/sync/clock.h"
#include "gtest/gtest.h"

namespace ticker {
namespace {

// A job that counts how often it runs.
Job Counting(absl::Duration period, int* count) {
  return {period, [count](const cohort::Context&) {
            ++*count;
            return absl::OkStatus();
          }};
}

void Simulate(absl::FunctionRef<void()> body) {
  cohort::sim::Explore({.schedules = 50, .time = cohort::sim::Time::kQuiescent},
                       body);
}

TEST(RunJobsTest, RunsEachJobInItsPeriod) {
  Simulate([] {
    const cohort::sync::SteadyTime start = cohort::sync::SteadyTime::Now();
    int minutes = 0;
    int hours = 0;
    std::vector<Job> jobs;
    jobs.push_back(Counting(absl::Minutes(7), &minutes));
    jobs.push_back(Counting(absl::Hours(1), &hours));
    EXPECT_EQ(RunJobs({}, absl::Minutes(150), std::move(jobs)),
              absl::OkStatus());
    EXPECT_EQ(minutes, 21);
    EXPECT_EQ(hours, 2);
    EXPECT_EQ(cohort::sync::SteadyTime::Now() - start, absl::Minutes(150));
  });
}

TEST(RunJobsTest, StopsAtTheFirstError) {
  Simulate([] {
    int count = 0;
    std::vector<Job> jobs;
    jobs.push_back(Counting(absl::Minutes(2), &count));
    jobs.push_back({absl::Minutes(5), [](const cohort::Context&) {
                      return absl::NotFoundError("gone");
                    }});
    EXPECT_EQ(RunJobs({}, absl::Hours(1), std::move(jobs)),
              absl::NotFoundError("gone"));
    EXPECT_EQ(count, 2);
  });
}

TEST(RunJobsTest, StopsWithItsContext) {
  Simulate([] {
    cohort::CancelScope scope = cohort::WithTimeout(
        cohort::Context(), absl::Minutes(3), absl::AbortedError("enough"));
    int count = 0;
    std::vector<Job> jobs;
    jobs.push_back(Counting(absl::Minutes(2), &count));
    EXPECT_EQ(RunJobs(scope.context(), absl::Hours(1), std::move(jobs)),
              absl::AbortedError("enough"));
    EXPECT_EQ(count, 1);
  });
}

}  // namespace
}  // namespace ticker
