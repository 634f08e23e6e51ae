// Half-cheetah in MuJoCo's own library: a robot in another process and language, which asks a served session at its own
// rate and counts its own steps. What it sees, is paid and begins with are those of `tr.domain("halfcheetah")`.
//
//     cheetah ADDRESS TOKEN_FILE MODEL.mjb RATE SEED
//
// On its standard input it reads, a line each, and answers each with a line: `connect`, `drive N`, `save`,
// `improve SECONDS`, `count`. It keeps standing where it is while nobody answers it.
#include <mujoco/mujoco.h>

#include <chrono>
#include <fstream>
#include <iostream>
#include <memory>
#include <random>
#include <sstream>
#include <thread>

#include "transreward.hpp"

using Clock = std::chrono::steady_clock;
constexpr int kFrameSkip = 5, kEpisode = 1000;
constexpr double kNoise = 0.1, kControl = 0.1;

class Cheetah {
public:
    long count = 0;  // steps of its own

    Cheetah(const char* file, unsigned seed) : model_(mj_loadModel(file, nullptr)), random_(seed) {
        if (model_ == nullptr) throw std::runtime_error("the model cannot be loaded");
        data_ = mj_makeData(model_);
        begin();
    }
    ~Cheetah() {
        mj_deleteData(data_);
        mj_deleteModel(model_);
    }
    Cheetah(const Cheetah&) = delete;
    Cheetah& operator=(const Cheetah&) = delete;

    transreward::Numbers obs() const {
        transreward::Numbers found(data_->qpos + 1, data_->qpos + model_->nq);
        found.insert(found.end(), data_->qvel, data_->qvel + model_->nv);
        return found;
    }
    // Returns the reward: the velocity over the step, m/s, less a tenth of the squared commands.
    double move(const transreward::Numbers& action) {
        const double before = data_->qpos[0];
        double cost = 0;
        for (int i = 0; i < model_->nu; ++i) {
            data_->ctrl[i] = std::fmin(std::fmax(action[i], -1.0), 1.0);
            cost += data_->ctrl[i] * data_->ctrl[i];
        }
        for (int i = 0; i < kFrameSkip; ++i) mj_step(model_, data_);
        ++count;
        ++clock_;
        return (data_->qpos[0] - before) / (kFrameSkip * model_->opt.timestep) - kControl * cost;
    }
    bool over() const { return clock_ >= kEpisode; }
    void begin() {
        mj_resetData(model_, data_);
        std::uniform_real_distribution<double> place(-kNoise, kNoise);
        std::normal_distribution<double> speed(0, kNoise);
        for (int i = 0; i < model_->nq; ++i) data_->qpos[i] += place(random_);
        for (int i = 0; i < model_->nv; ++i) data_->qvel[i] = speed(random_);
        mj_forward(model_, data_);
        clock_ = 0;
    }

private:
    mjModel* model_;
    mjData* data_ = nullptr;
    std::mt19937 random_;
    long clock_ = 0;
};

static void drive(transreward::Client& session, Cheetah& robot, long steps, double rate) {
    const auto period = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(1 / rate));
    auto due = Clock::now();
    for (long i = 0; i < steps && session.left > 0; ++i) {
        const transreward::Numbers obs = robot.obs(), action = session.act(obs);
        due = std::max(due + period, Clock::now());
        std::this_thread::sleep_until(due);
        const double reward = robot.move(action);
        session.tell(obs, action, reward, robot.obs(), false, robot.over());
        if (robot.over()) robot.begin();
    }
}

int main(int argc, char** argv) {
    if (argc != 6) return 2;
    try {
        Cheetah robot(argv[3], static_cast<unsigned>(std::atoi(argv[5])));
        std::unique_ptr<transreward::Client> session;
        for (std::string line; std::getline(std::cin, line);) {
            std::istringstream words(line);
            std::string what, token;
            double number = 0;
            words >> what >> number;
            if (what == "connect") {
                std::getline(std::ifstream(argv[2]) >> std::ws, token);
                session = std::make_unique<transreward::Client>(argv[1], token, 0, 60.0);
            }
            if (what == "drive") drive(*session, robot, static_cast<long>(number), std::atof(argv[4]));
            if (what == "save") session->save();
            const bool done = what != "improve" || session->improve(number);
            std::cout << what << " " << robot.count << " " << (done ? "yes" : "no") << std::endl;
        }
    } catch (const std::exception& error) {
        std::cout << "failed: " << error.what() << std::endl;
        return 1;
    }
    return 0;
}
