// C++: methods, templates, lambdas, constructors, exceptions; much of it inlined.
#include <algorithm>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace store {

template <typename T> class Pool {
public:
	explicit Pool(size_t n) : slots_(n) {}
	virtual ~Pool() { clear(); }
	T *take(size_t i)
	{
		if (i >= slots_.size())
			throw std::out_of_range("slot");
		slots_[i] = std::make_unique<T>();
		return slots_[i].get();
	}
	void clear() { slots_.clear(); }

private:
	std::vector<std::unique_ptr<T>> slots_;
};

struct Record {
	std::map<std::string, std::vector<int>> fields;
	Record() { fields["a"].resize(100); }
	Record(const Record &) = default;
	~Record();
};

Record::~Record() { fields.clear(); }

} // namespace store

static int local(int n)
{
	struct Walker {
		int sum = 0;
		__attribute__((noinline)) void visit(int k) { sum += static_cast<int>(std::to_string(k).size()); }
	} w;
	std::vector<int> v(static_cast<size_t>(n), 3);
	std::for_each(v.begin(), v.end(), [&](int k) { w.visit(k); });
	return w.sum;
}

int main(int argc, char **)
{
	store::Pool<store::Record> pool(static_cast<size_t>(argc));
	store::Pool<int> numbers(3);
	try {
		pool.take(0)->fields["b"].push_back(1);
		numbers.take(static_cast<size_t>(argc) + 5);
	} catch (const std::exception &e) {
		return local(argc + static_cast<int>(std::string(e.what()).size())) & 1;
	}
	return 0;
}
