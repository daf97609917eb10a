#include <fmt/format.h>

#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "bindings/cli/commands.hpp"
#include "bindings/cli/description.hpp"
#include "bindings/cli/follow.hpp"
#include "bindings/cli/interrupt.hpp"
#include "engine/queue/submission.hpp"
#include "kernels/core/error.hpp"

namespace kiban::cli {
namespace {

using engine::Parameter;
using engine::Receipt;
using engine::Registry;
using engine::Submission;

std::string submitter_sentence() { return "Who asks, as the queue shares the devices out among them"; }

Parameter priority_option() {
  return Parameter::choice("priority", {"stat", "urgent", "routine", "research"}, "How soon it must run")
      .by_default("routine");
}

/// Of a job that is described on the command line.
const Options& job_options() {
  static const Options options = {
      {priority_option(),
       Parameter::text("key", "Your own name for the job: submitted again, it is the same job and runs once")
           .or_else("each submission is a job of its own"),
       Parameter::text("after", "Jobs that must succeed first; inputs need not be there yet"),
       Parameter::real("timeout", "s", "The longest time that an attempt may take on the device")
           .by_default(Submission{}.timeout_s)
           .above(0),
       Parameter::text("submitter", submitter_sentence()).or_else("your user name"),
       Parameter::text("tag", "What to find it by later, as site=north"),
       Parameter::flag("wait", "Show its progress, and return when it is over with the exit status of its error"),
       queue_option(), json_option("{\"id\", \"existed\"}, or after --wait the job")},
      {"after", "tag"}};
  return options;
}

Command lines_command() {
  Command command;
  command.name = "submit";
  command.summary = "Puts a job into the queue, or with --from many at once";
  command.places = "OPERATION --PORT PATH ... --PARAMETER VALUE ...";
  command.options = {
      {Parameter::text("from", "A file with a JSON object a line for each job; - is standard input").must_be_given(),
       priority_option(), Parameter::text("submitter", submitter_sentence()).or_else("your user name"),
       Parameter::flag("wait", "Return when all are over, with the exit status of the first that did not succeed"),
       queue_option(), json_option("{\"jobs\": [{\"id\", \"existed\"}, ...]}, or after --wait a job a line")},
      {}};
  command.notes = {
      "`kiban submit OPERATION --help` describes the options of one operation.",
      "It prints the id of the job, which is on the disk by then; `kiban status ID` tells what became of it.",
      "A line of --from: {\"operation\": \"ct.fdk\", \"inputs\": {PORT: PATH}, \"outputs\": {PORT: PATH}, "
      "\"parameters\": {NAME: VALUE}, \"priority\": \"urgent\", \"key\": TEXT, \"after\": [ID], \"timeout_s\": 600, "
      "\"submitter\": TEXT, \"tags\": {KEY: VALUE}}; all but operation may be left out where nothing requires them. "
      "--priority and --submitter hold for the lines that do not say. `after` takes ids, so what is to come first is "
      "submitted first.",
      "All lines are taken, or, where one of them is wrong, none."};
  return command;
}

Submission submission_of(const engine::Operation& operation, const OperationArguments& given) {
  Submission submission = engine::submission_from_text(operation, given.operation);
  const engine::Values& values = given.options.values;
  const auto& lists = given.options.lists;
  submission.priority = engine::priority_named(values.text("priority"));
  submission.timeout_s = values.real("timeout");
  if (values.has("key")) submission.key = values.text("key");
  if (values.has("submitter")) submission.submitter = values.text("submitter");
  if (lists.contains("after")) submission.after = lists.at("after");
  if (lists.contains("tag")) submission.tags = keys_and_values("tag", lists.at("tag"));
  engine::require_valid(submission);
  engine::require_files(operation, submission);
  return submission;
}

/// `defaults` are fields for what the line does not say.
Submission submission_of_line(const Registry& registry, const std::string& line, const nlohmann::json& defaults) {
  nlohmann::json request = nlohmann::json::parse(line, nullptr, false);
  if (request.is_discarded()) throw Error(ErrorCode::usage, "this is no JSON object");
  for (const auto& [field, value] : defaults.items())
    if (request.is_object() && !request.contains(field)) request[field] = value;
  Submission submission = engine::submission_from_request_json(registry, request);
  engine::require_valid(submission);
  engine::require_files(registry.find(submission.operation), submission);
  return submission;
}

std::vector<Submission> submissions_of(const Registry& registry, std::istream& lines, const std::string& name,
                                       const nlohmann::json& defaults) {
  std::vector<Submission> all;
  std::size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    try {
      all.push_back(submission_of_line(registry, line, defaults));
    } catch (const Error& error) {
      throw Error(error.code(),
                  fmt::format("{}, line {}: {}; none of the jobs was submitted", name, number, error.what()));
    }
  }
  if (lines.bad()) throw Error(ErrorCode::input, fmt::format("{} cannot be read to its end", name));
  if (all.empty()) throw Error(ErrorCode::input, fmt::format("{} has no lines; write a JSON object a job", name));
  return all;
}

nlohmann::json to_json(const Receipt& receipt) { return {{"id", receipt.id}, {"existed", receipt.existed}}; }

/// Tells the ids, and waits where that was asked for.
int take_receipts(const engine::Queue& queue, const std::vector<Receipt>& receipts, const engine::Values& options,
                  const nlohmann::json& json) {
  const bool as_json = options.flag("json"), waits = options.flag("wait");
  if (waits) watch_signals();  // from when the id is told on
  std::vector<std::string> ids;
  for (const Receipt& receipt : receipts) ids.push_back(receipt.id);
  if (as_json && !waits) fmt::print("{}\n", one_line(json));
  if (!as_json)
    for (const std::string& id : ids) fmt::print("{}\n", id);
  std::fflush(stdout);
  return waits ? wait_for(queue, ids, as_json) : 0;
}

int submit_lines(const Registry& registry, const Arguments& arguments) {
  const Command command = lines_command();
  const CommandArguments given = parse_command(command, arguments);
  if (given.help) {
    fmt::print("{}", help_text(command));
    return 0;
  }
  const engine::Values& options = given.options.values;
  const std::string& from = options.text("from");
  nlohmann::json defaults = {{"priority", options.text("priority")}};
  if (options.has("submitter")) defaults["submitter"] = options.text("submitter");
  std::ifstream file;
  if (from != "-") file.open(from);
  if (from != "-" && !file) throw Error(ErrorCode::input, fmt::format("{} cannot be read; is it there?", from));
  const std::vector<Submission> submissions =
      submissions_of(registry, from == "-" ? std::cin : file, from == "-" ? "standard input" : from, defaults);

  const auto queue = queue_of(options);
  const std::vector<Receipt> receipts = queue->submit(submissions);
  nlohmann::json jobs = nlohmann::json::array();
  for (const Receipt& receipt : receipts) jobs.push_back(to_json(receipt));
  return take_receipts(*queue, receipts, options, {{"jobs", jobs}});
}

}  // namespace

int submit_command(const Registry& registry, const Arguments& arguments) {
  if (arguments.empty())
    throw Error(ErrorCode::usage,
                "`kiban submit` needs the name of an operation first, or --from FILE; `kiban ops` "
                "lists the operations");
  if (arguments[0].starts_with("-")) return submit_lines(registry, arguments);

  const engine::Operation& operation = registry.find(arguments[0]);
  const OperationArguments given =
      parse_operation(operation, job_options(), Arguments(arguments.begin() + 1, arguments.end()));
  if (given.help) {
    fmt::print("{}", help_text(operation, "submit", job_options()));
    return 0;
  }
  const Submission submission = submission_of(operation, given);
  const auto queue = queue_of(given.options.values);
  const std::vector<Receipt> receipts = queue->submit({submission});
  return take_receipts(*queue, receipts, given.options.values, to_json(receipts.at(0)));
}

}  // namespace kiban::cli
