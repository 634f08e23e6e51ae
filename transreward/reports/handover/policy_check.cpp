// Loads a policy that TransReward exported with onnxruntime and gives its golden actions again. Exit code 0, or 1 where
// one differs by more than is allowed, or something cannot be read. TransReward is not needed; C++17.
//
//   ORT=/opt/onnxruntime-linux-x64-1.20.1      # a release of onnxruntime: include/ and lib/
//   g++ -std=c++17 -O2 -I $ORT/include policy_check.cpp -o policy_check -L $ORT/lib -lonnxruntime -Wl,-rpath,$ORT/lib
//   ./policy_check FOLDER                      # which holds the policy and policy_golden.txt; default: here
//
// `Policy` and `History` are what a robot's own program needs; units, limits and rate are in policy_contract.json.
#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

using Numbers = std::vector<float>;

// The graph: an observation in, its action out, inside the limits. Normaliser and scaling are inside of it.
class Policy {
  public:
    Policy(const std::filesystem::path& file, std::size_t actions)
        : actions_(actions), session_(environment_, file.c_str(), alone()) {}

    Numbers act(Numbers observation) {
        const std::int64_t from[] = {1, static_cast<std::int64_t>(observation.size())};
        const std::int64_t to[] = {1, static_cast<std::int64_t>(actions_)};
        Numbers action(actions_);
        Ort::Value in = Ort::Value::CreateTensor<float>(memory_, observation.data(), observation.size(), from, 2);
        Ort::Value out = Ort::Value::CreateTensor<float>(memory_, action.data(), action.size(), to, 2);
        const char *input = "observation", *output = "action";
        session_.Run(Ort::RunOptions{nullptr}, &input, &in, 1, &output, &out, 1);
        return action;
    }

  private:
    static Ort::SessionOptions alone() {  // a small network is slower on more than one thread
        Ort::SessionOptions options;
        options.SetIntraOpNumThreads(1);
        return options;
    }

    std::size_t actions_;
    Ort::Env environment_{ORT_LOGGING_LEVEL_WARNING, "policy"};
    Ort::MemoryInfo memory_ = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    Ort::Session session_;
};

// The last n commanded actions, the newest first, which end an observation where the contract says so.
class History {
  public:
    History(std::size_t n, const Numbers& start) : n_(n), start_(start) { begin(); }

    void begin() {
        past_.clear();
        for (std::size_t i = 0; i < n_; ++i) past_.insert(past_.end(), start_.begin(), start_.end());
    }

    void sent(const Numbers& action) {
        past_.insert(past_.begin(), action.begin(), action.end());
        past_.resize(n_ * start_.size());
    }

    const Numbers& past() const { return past_; }

  private:
    std::size_t n_;
    Numbers start_, past_;
};

struct Row {
    int episode, step;  // episode -1: a state by itself
    Numbers observation, action;
};

struct Golden {
    std::string file;
    std::size_t history = 0;
    Numbers start, tolerance;
    std::vector<Row> rows;
};

Numbers numbers(std::istream& in, std::size_t n) {
    Numbers found(n);
    for (float& one : found)
        if (!(in >> one)) throw std::runtime_error("policy_golden.txt is cut short, or holds what is no number");
    return found;
}

Golden read(const std::filesystem::path& path) {
    std::ifstream in(path);
    if (!in) throw std::runtime_error("there is no " + path.string());
    Golden golden;
    std::size_t observations = 0, actions = 0, rows = 0;
    for (std::string line, key; rows == 0 && std::getline(in, line);) {  // a key and its value, until the rows begin
        std::istringstream words(line);
        if (!(words >> key) || key[0] == '#') continue;
        if (key == "file") std::getline(words >> std::ws, golden.file);
        if (key == "observations") words >> observations;
        if (key == "actions") words >> actions;
        if (key == "history") words >> golden.history;
        if (key == "start") golden.start = numbers(words, actions);
        if (key == "tolerance") golden.tolerance = numbers(words, actions);
        if (key == "rows") words >> rows;
    }
    if (rows == 0 || golden.tolerance.empty()) throw std::runtime_error(path.string() + " holds no golden rows");
    for (std::size_t i = 0; i < rows; ++i) {
        Row row;
        if (!(in >> row.episode >> row.step)) throw std::runtime_error(path.string() + " is cut short");
        row.observation = numbers(in, observations);
        row.action = numbers(in, actions);
        golden.rows.push_back(row);
    }
    return golden;
}

// The largest difference, and as a share of what is allowed.
struct Worst {
    double apart = 0, share = 0;
    void see(double found, double wanted, double allowed) {
        const double now = std::isfinite(found) ? std::abs(found - wanted) : INFINITY;
        apart = std::max(apart, now);
        share = std::max(share, now / allowed);
    }
};

int main(int argc, char** argv) {
    try {
        const std::filesystem::path folder = argc > 1 ? argv[1] : ".";
        const Golden golden = read(folder / "policy_golden.txt");
        const std::size_t actions = golden.tolerance.size();
        Policy policy(folder / golden.file, actions);
        History history(golden.history, golden.start);
        Worst worst;
        std::vector<double> times;
        for (const Row& row : golden.rows) {
            Numbers observation = row.observation;
            if (row.episode >= 0 && golden.history > 0) {  // as on the robot: what is seen, then what was sent
                if (row.step == 0) history.begin();
                const std::size_t seen = observation.size() - history.past().size();
                std::copy(history.past().begin(), history.past().end(), observation.begin() + seen);
                for (std::size_t i = seen; i < observation.size(); ++i)
                    worst.see(observation[i], row.observation[i], golden.tolerance[(i - seen) % actions]);
            }
            const auto begun = std::chrono::steady_clock::now();
            const Numbers action = policy.act(observation);
            times.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begun).count());
            for (std::size_t i = 0; i < actions; ++i) worst.see(action[i], row.action[i], golden.tolerance[i]);
            if (row.episode >= 0) history.sent(action);
        }
        std::sort(times.begin(), times.end());
        std::printf("%zu golden rows, largest difference %.2g, %.2g of what is allowed; an action takes %.0f us\n",
                    golden.rows.size(), worst.apart, worst.share, times[times.size() / 2]);
        return worst.share <= 1.0 ? 0 : 1;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "policy_check: %s\n", error.what());
        return 1;
    }
}
