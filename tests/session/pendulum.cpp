// A robot of its own: a pole on a cart, which asks a served session for its actions. Usage: pendulum ADDRESS TOKEN STEPS
#include <iostream>
#include <random>

#include "transreward.hpp"

struct Cart {
    std::mt19937 random{0};
    transreward::Numbers x{0, 0, 0, 0};  // place, angle, and how fast they change
    int steps = 0;
    void begin() {
        std::uniform_real_distribution<double> near(-0.01, 0.01);
        for (double& one : x) one = near(random);
        steps = 0;
    }
    bool move(double force) {  // returns whether it fell
        const double turn = 20.0 * std::sin(x[1]) - 3.0 * force * std::cos(x[1]);
        x[3] += 0.04 * turn;
        x[2] += 0.04 * 3.0 * force;
        x[1] += 0.04 * x[3];
        x[0] += 0.04 * x[2];
        ++steps;
        return std::abs(x[1]) > 0.2;
    }
};

int main(int argc, char** argv) {
    if (argc != 4) return 2;
    try {
        transreward::Client session(argv[1], argv[2]);
        Cart cart;
        cart.begin();
        session.reset(cart.x, 3);
        for (int i = 0; i < std::atoi(argv[3]) && session.left > 0; ++i) {
            const transreward::Numbers before = cart.x, action = session.act(before);
            const bool fell = cart.move(action[0]), late = cart.steps >= 200;
            if (i % 3 == 0) session.tell(before, action, cart.x, fell, late && !fell);  // its task pays
            else session.tell(before, action, 1.0, cart.x, fell, late && !fell);
            if (fell || late) cart.begin();
        }
        session.save();
        const bool done = session.improve(0.1);
        std::cout << "left " << session.left << " limits " << session.low[0] << " " << session.high[0] << " done "
                  << (done ? "yes" : "no") << std::endl;
        session.tell(cart.x, {0.0}, 1.0, cart.x);
    } catch (const std::exception& error) {
        std::cout << "refused: " << error.what() << std::endl;
        return 0;
    }
    return 1;
}
