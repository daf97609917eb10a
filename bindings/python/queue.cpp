#include "bindings/python/queue.hpp"

#include <fmt/format.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "bindings/python/connection.hpp"
#include "bindings/python/json_value.hpp"
#include "bindings/python/run.hpp"
#include "engine/queue/submission.hpp"
#include "kernels/core/error.hpp"

namespace kiban::python {
namespace {

using engine::Job;

/// Errors name the job by its place where there are several.
engine::Submission submission_of(const nlohmann::json& requests, std::size_t place) {
  try {
    engine::Submission submission = engine::submission_from_request_json(registry(), requests[place]);
    engine::require_valid(submission);
    engine::require_files(registry().find(submission.operation), submission);
    return submission;
  } catch (const Error& error) {
    if (requests.size() == 1) throw;
    throw Error(error.code(), fmt::format("jobs[{}]: {}", place, error.what()));
  }
}

/// The ids, in the order of the requests.
std::vector<std::string> submit(Connection& connection, const nb::list& given) {
  const nlohmann::json requests = json_of(given, "request");
  const nb::gil_scoped_release unlocked;
  std::vector<engine::Submission> submissions;
  for (std::size_t place = 0; place < requests.size(); ++place) submissions.push_back(submission_of(requests, place));
  std::vector<std::string> ids;
  for (const engine::Receipt& receipt :
       connection.with([&](engine::Queue& queue) { return queue.submit(submissions); }))
    ids.push_back(receipt.id);
  return ids;
}

std::string text_of(const std::vector<Job>& jobs) {
  nlohmann::json list = nlohmann::json::array();
  for (const Job& job : jobs) list.push_back(engine::to_json(job));
  return list.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string find(Connection& connection, const std::vector<std::string>& ids) {
  const nb::gil_scoped_release unlocked;
  return text_of(connection.with([&](engine::Queue& queue) {
    std::vector<Job> jobs;
    for (const std::string& id : ids) jobs.push_back(queue.find(id));
    return jobs;
  }));
}

std::string list(Connection& connection, const std::optional<std::string>& state,
                 const std::optional<std::string>& operation, const std::optional<std::string>& submitter,
                 const nb::dict& tags, int most) {
  engine::JobFilter filter;
  if (state) filter.state = engine::state_named(*state);
  filter.operation = operation;
  filter.submitter = submitter;
  for (const auto& [key, value] : tags) filter.tags[nb::cast<std::string>(key)] = nb::cast<std::string>(value);
  filter.most = most;
  const nb::gil_scoped_release unlocked;
  return text_of(connection.with([&](engine::Queue& queue) { return queue.list(filter); }));
}

std::string counts(Connection& connection) {
  const nb::gil_scoped_release unlocked;
  const engine::QueueCounts counts = connection.with([](engine::Queue& queue) { return queue.counts(); });
  nlohmann::json classes = nlohmann::json::object();
  for (int each = 0; each < engine::kPriorities; ++each) {
    const engine::ClassCounts& of_class = counts.classes[static_cast<std::size_t>(each)];
    classes[engine::to_string(static_cast<engine::Priority>(each))] = {
        {"waiting", of_class.waiting},           {"queued", of_class.queued},
        {"running", of_class.running},           {"oldest_queued_s", of_class.oldest_queued_s},
        {"device_share", of_class.device_share},
    };
  }
  return nlohmann::json{{"classes", classes},
                        {"succeeded", counts.succeeded},
                        {"failed", counts.failed},
                        {"cancelled", counts.cancelled},
                        {"unpublished", counts.unpublished},
                        {"finished_per_minute", counts.finished_per_minute},
                        {"paused", counts.paused}}
      .dump();
}

/// A method that hands its arguments to the queue's own, without the interpreter's lock.
template <class Result, class... Arguments>
auto passed_on(Result (engine::Queue::*method)(Arguments...)) {
  return [method](Connection& connection, const std::remove_cvref_t<Arguments>&... arguments) {
    const nb::gil_scoped_release unlocked;
    return connection.with([&](engine::Queue& queue) { return (queue.*method)(arguments...); });
  };
}

}  // namespace

void define_queue(nb::module_& module) {
  nb::module_::import_("os").attr("register_at_fork")(
      nb::arg("before") = nb::cpp_function(&before_fork),
      nb::arg("after_in_parent") = nb::cpp_function(&after_fork_in_parent),
      nb::arg("after_in_child") = nb::cpp_function(&after_fork_in_child));
  nb::class_<Connection>(module, "QueueConnection", "What kiban.Queue asks: jobs as JSON.")
      .def(
          "__init__",
          [](Connection* self, const std::string& url) {
            const nb::gil_scoped_release unlocked;
            new (self) Connection(url);
          },
          nb::arg("url"))
      .def("submit", &submit, nb::arg("requests"))
      .def("find", &find, nb::arg("ids"))
      .def("list", &list, nb::arg("state").none(), nb::arg("operation").none(), nb::arg("submitter").none(),
           nb::arg("tags"), nb::arg("most"))
      .def("counts", &counts)
      .def("cancel", passed_on(&engine::Queue::cancel), nb::arg("id"), nb::arg("why"))
      .def("retry", passed_on(&engine::Queue::retry), nb::arg("id"))
      .def("pause", passed_on(&engine::Queue::pause), nb::arg("paused"))
      .def("results", [](Connection& self) {
        const nb::gil_scoped_release unlocked;
        return self.with([](engine::Queue& queue) { return queue.results().string(); });
      });
}

}  // namespace kiban::python
